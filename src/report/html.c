/* Escaping. */
#include "html.h"

void html_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const char c = *text;
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&quot;";
        if (c == '&' || c == '<' || c == '>' || c == '"') {
            (void)fputs(entity, out);
        } else {
            (void)fputc((unsigned char)c < ' ' ? ' ' : c, out);
        }
    }
}
