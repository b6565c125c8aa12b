/* Escaping. */
#include "html.h"

#include <string.h>

void html_text(FILE *out, const char *text)
{
    html_bytes(out, text, strlen(text));
}

void html_bytes(FILE *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const char c = text[i];
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&quot;";
        if (c == '&' || c == '<' || c == '>' || c == '"') {
            (void)fputs(entity, out);
        } else {
            (void)fputc((unsigned char)c < ' ' ? ' ' : c, out);
        }
    }
}
