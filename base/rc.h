/*
 * Results. Negative is an error, 0 is success; a function's header says when
 * it returns a positive number. The rows live in rc.def.
 */
#ifndef TAILFIN_BASE_RC_H
#define TAILFIN_BASE_RC_H

#define RC(name, value, http, text) RC_##name = (value),
enum rc {
#include "base/rc.def"
};
#undef RC

/* The short name of rc, such as "INVALID"; static, never NULL. Any thread. */
const char *rc_name(enum rc rc);

/* The sentence of rc; static, never NULL. Any thread. */
const char *rc_text(enum rc rc);

/* The HTTP status of rc, 100..599; 500 for a number without a row. */
int rc_http(enum rc rc);

#endif
