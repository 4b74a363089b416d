#include "base/err.h"

#include <stdarg.h>

enum rc
err_set(struct err *err, enum rc rc, const char *format, ...)
{
    if (!err)
        return rc;
    va_list args;
    va_start(args, format);
    err->rc = rc;
    err->sys = 0;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return rc;
}

enum rc
err_sys(struct err *err, enum rc rc, int sys, const char *format, ...)
{
    if (!err)
        return rc;
    va_list args;
    va_start(args, format);
    err->rc = rc;
    err->sys = sys;
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text) {
        char reason[128];
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s",
                 strerror_r(sys, reason, sizeof reason));
    }
    return rc;
}

enum rc
err_wrap(struct err *err, enum rc rc, const char *format, ...)
{
    if (!err)
        return rc;
    char inner[ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner);
    if (err->rc == RC_OK)
        err->rc = rc;
    return err->rc;
}
