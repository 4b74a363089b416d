# Warnings are errors; a waiver is per line, with a reason (STYLE.md, rule 2).
set(TAILFIN_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wcast-qual
  -Wcast-align -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wswitch-enum
  -Wnull-dereference -Wdouble-promotion -Wimplicit-fallthrough
  -fno-common -fstack-protector-strong -Werror)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND TAILFIN_WARNINGS -Wduplicated-cond -Wduplicated-branches -Wlogical-op
       -Wjump-misses-init)
else()
  list(APPEND TAILFIN_WARNINGS -Wcomma -Wunreachable-code)
endif()
