#include "base/rc.h"

const char *
rc_name(enum rc rc)
{
#define RC(name, value, http, text)                                                                \
    case RC_##name:                                                                                \
        return #name;
    switch (rc) {
#include "base/rc.def"
    }
#undef RC
    return "UNKNOWN";
}

const char *
rc_text(enum rc rc)
{
#define RC(name, value, http, text)                                                                \
    case RC_##name:                                                                                \
        return text;
    switch (rc) {
#include "base/rc.def"
    }
#undef RC
    return "an unknown result";
}

int
rc_http(enum rc rc)
{
#define RC(name, value, http, text)                                                                \
    case RC_##name:                                                                                \
        return http;
    switch (rc) {
#include "base/rc.def"
    }
#undef RC
    return 500;
}
