# How a gate runs: steps with names and times, counts, skips, and the summary at the end. Sourced by dev/test.

skips_file=$project/.ci/skips
logs='' steps=() passed=0 failed=0 skipped=()

# Runs a step: its name, then a command. What it prints is shown and counted. The first that fails ends the gate, unless
# every check counts (REQUIRE_ALL): then one run shall show all that is wrong. Without its tools no step means anything.
step() {
    local name=$1 begun=$SECONDS code=0
    shift
    printf '\n=== %s\n' "$name"
    # Two runs at once must not share it.
    [ -n "$logs" ] || logs=$(mktemp -d "${TMPDIR:-/tmp}/kubeboot-test.XXXXXX")
    # In a shell of its own, which ends at its first error; as part of a condition it would not, and ours must go on.
    set +e
    (
        set -e
        "$@"
    ) </dev/null 2>&1 | tee "$logs/$name.log"
    code=${PIPESTATUS[0]}
    set -e
    count "$name" "$code"
    steps+=("$(printf '%5d s  %s%s' $((SECONDS - begun)) "$name" "$([ $code = 0 ] || echo '  FAILED')")")
    [ $code = 0 ] || { [ "${REQUIRE_ALL:-0}" = 1 ] && [ "$name" != setup ]; } || finish
}

# Adds what a step's log says of tests; a step without any is one test itself.
count() {
    local name=$1 code=$2 p f s
    read -r p f s < <(counts <"$logs/$name.log")
    [ $((p + f + s)) -gt 0 ] || p=1
    if [ "$code" != 0 ] && [ "$f" = 0 ]; then
        f=1 p=$((p > 0 ? p - 1 : 0))
    fi
    passed=$((passed + p)) failed=$((failed + f))
    mapfile -t -O ${#skipped[@]} skipped < <(skips_in <"$logs/$name.log")
}

# Passed, failed and skipped, from the last lines of cargo ("test result: ok. 3 passed; 0 failed; 1 ignored; ...")
# and pytest ("5 passed, 1 skipped in 2.00s").
counts() {
    awk '/^test result: / || /^=* ?[0-9]+ (passed|failed|skipped|errors?)[, ].*in [0-9.]+s/ {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) p += $(i - 1)
            if ($i ~ /^(failed|error)/) f += $(i - 1)
            if ($i ~ /^(skipped|ignored)/) s += $(i - 1)
        }
    } END { print p + 0, f + 0, s + 0 }'
}

# The names of skipped tests, and of the checks that said "skipped: NAME: reason".
skips_in() {
    sed -nE -e 's/^test (.+) \.\.\. ignored.*/\1/p' -e 's/^([^ ]+::[^ ]+) SKIPPED.*/\1/p' \
        -e 's/^\[gw[0-9]+\].* SKIPPED ([^ ]+::[^ ]+).*/\1/p' -e 's/^skipped: ([^:]+):.*/\1/p'
}

# Says that a check cannot be made here, and why.
skip() {
    echo "skipped: $1: $2"
}

# What is wrong, last, since of a long log the end is read: of each step that failed its tests, with the first lines that say why.
why-failed() {
    local name
    for name in "${steps[@]}"; do
        case $name in
        *"  FAILED") ;;
        *) continue ;;
        esac
        name=${name%  FAILED} name=${name##* }
        printf '\n=== %s failed\n' "$name"
        reasons_in <"$logs/$name.log"
    done
    printf '\nwhat each step said is in %s\n' "$logs"
}

# The failed tests of cargo and pytest, each with the lines that tell the error; of a step without any, its last lines.
reasons_in() {
    awk -v most=8 '
        /^---- .* stdout ----$/ { about = $2; lines = 0 }
        /^test .* FAILED$/ { failed[$2]; any = 1 }
        /^(FAILED|ERROR) / { print substr($0, 1, 400); any = 1 }
        about && /^(Error|thread .* panicked|Caused by|    [0-9]+: |assertion|  (left|right):)/ && lines < most {
            # A trace of calls has the same form as the causes of an error, and paths in it.
            if ($0 !~ /::/ || /^(Error|thread)/) { said[about] = said[about] "    " substr($0, 1, 600) "\n"; lines++ }
        }
        { last[NR % 15] = $0 }
        END {
            for (name in failed) printf "%s\n%s", name, said[name]
            if (!any) for (i = NR + 1; i <= NR + 15; i++) if (last[i % 15] != "") print last[i % 15]
        }'
}

# Prints what was skipped, where the time went and the counts, and ends.
finish() {
    local name allowed
    printf '\n=== where the time went\n'
    printf '%s\n' "${steps[@]}" "$(printf '%5d s  in all' $SECONDS)"
    [ ${#skipped[@]} = 0 ] || printf '\n=== skipped\n'
    for name in "${skipped[@]}"; do
        allowed="not named in .ci/skips"
        ! awk -v name="$name" '$1 == name { found = 1 } END { exit !found }' "$skips_file" || allowed="named in .ci/skips"
        echo "$name: $allowed"
        if [ "${REQUIRE_ALL:-0}" = 1 ] && [ "$allowed" != "named in .ci/skips" ]; then
            failed=$((failed + 1))
        fi
    done
    [ "$failed" = 0 ] || why-failed
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" ${#skipped[@]}
    [ "$failed" = 0 ] || exit 1
    rm -r "$logs"
    exit
}
