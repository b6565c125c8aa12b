/* Text into HTML and SVG. Private to report/. */
#ifndef MBT_REPORT_HTML_H
#define MBT_REPORT_HTML_H

#include <stdio.h>

/* With & < > " escaped; control characters become blanks. */
void html_text(FILE *out, const char *text);
void html_bytes(FILE *out, const char *text, size_t bytes); /* the first of them */

#endif
