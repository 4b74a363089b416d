/*
 * What went wrong, told once where it is known. The caller supplies the
 * struct; NULL is allowed everywhere. Filled only on failure.
 */
#ifndef TAILFIN_BASE_ERR_H
#define TAILFIN_BASE_ERR_H

#include "base/must.h"
#include "base/rc.h"

enum { ERR_TEXT_MAX = 400 };

struct err {
    enum rc rc;
    int sys;                 /* errno, or a library's code; 0 if none */
    char text[ERR_TEXT_MAX]; /* a sentence without its full stop, NUL-terminated, cut if longer */
};

/* Fills *err (if not NULL) and returns rc, so that callers can `return err_set(...)`. */
PRINTF_LIKE(3, 4) enum rc err_set(struct err *err, enum rc rc, const char *format, ...);

/* The same with a system error number, whose text is appended. */
PRINTF_LIKE(4, 5)
enum rc err_sys(struct err *err, enum rc rc, int sys, const char *format, ...);

/*
 * Puts what the caller was doing before the text ("opening X: ..."); returns
 * err->rc, or rc if err is NULL or not filled.
 */
PRINTF_LIKE(3, 4) enum rc err_wrap(struct err *err, enum rc rc, const char *format, ...);

#endif
