/* Hexadecimal digits, of escapes and chunk sizes. Private to http/. */
#ifndef TAILFIN_HTTP_HEX_H
#define TAILFIN_HTTP_HEX_H

/* The value of a digit of either case; -1 for anything else. */
static inline int
http_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

#endif
