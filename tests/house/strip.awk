# C without comments and without the contents of strings and character constants, one line for each
# line: "path:line:text". The quotes of #include lines stay as they are.
FNR == 1 { comment = 0 }
{
    rest = $0
    text = ""
    include = !comment && rest ~ /^[ \t]*#[ \t]*include/
    while (rest != "") {
        if (comment) {
            end = index(rest, "*/")
            if (!end) break
            rest = substr(rest, end + 2)
            text = text " "
            comment = 0
        } else if (!match(rest, /\/\*|\/\/|"|'/)) {
            text = text rest
            break
        } else {
            text = text substr(rest, 1, RSTART - 1)
            mark = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            if (mark == "/*") comment = 1
            else if (mark == "//") break
            else {
                text = text mark
                if (include) continue
                if (mark == "\"") found = match(rest, /^([^"\\]|\\.)*"/)
                else found = match(rest, /^([^'\\]|\\.)*'/)
                if (!found) break
                text = text mark
                rest = substr(rest, RLENGTH + 1)
            }
        }
    }
    print FILENAME ":" FNR ":" text
}
