#!/bin/sh
# Functions that have no place in the program: unbounded, without an error, or global
# state. Comments do not count.
set -eu
functions='strcpy|strcat|strncpy|strncat|sprintf|vsprintf|strtok|atoi|atol|atoll|atof|strtol|strtoul'
functions="$functions|gets|scanf|sscanf|fscanf|alloca|setjmp|longjmp|sigsetjmp|siglongjmp"
functions="$functions|rand|srand|random|tmpnam|tempnam|mktemp|system|popen|gmtime|localtime"
bad=0
for f in $(find src cache engine -name '*.c' -o -name '*.h' -o -name '*.cc' 2>/dev/null); do
    # The preprocessor takes the comments out and keeps the lines.
    ${CC:-cc} -fpreprocessed -dD -E -x c "$f" 2>/dev/null |
        awk -v file="$f" -v functions="$functions" '
            /^# [0-9]+ "/ { line = $2 - 1; next }
            { line++ }
            /^[ \t]*#/ { next }
            { gsub(/"([^"\\]|\\.)*"/, "\"\"") }
            match($0, "(^|[^A-Za-z0-9_.>])(" functions ")[ \t]*\\(") {
                print file ":" line ": " $0; bad = 1
            }
            END { exit bad }' || bad=1
done
exit $bad
