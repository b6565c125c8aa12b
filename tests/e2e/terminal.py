# mbtrain on a terminal of its own: python3 terminal.py COLUMNS BARS MBTRAIN ARGUMENTS...
# Ctrl-C is pressed when so many bars have been drawn. Prints the screen as it was after each bar and
# at the end, and ends with mbtrain's exit code; 120 when a line was longer than the terminal is wide.
import fcntl
import os
import pty
import re
import struct
import sys
import termios

columns, wanted = int(sys.argv[1]), int(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execv(sys.argv[3], sys.argv[3:])

text = b""
pressed = False
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError: # how Linux says that the other end is closed
        piece = b""
    if not piece:
        break
    text += piece
    if not pressed and len(re.findall(rb"\repoch|\x1b\[Kepoch", text)) >= wanted:
        os.write(terminal, b"\x03")
        pressed = True
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

# What a terminal makes of it: a return goes to the line's begin, ESC [ K removes the rest of the line.
screen, column, too_long = [""], 0, False
for part in re.findall(r"\r|\n|\x1b\[K|[^\r\n\x1b]+", text.decode()):
    if part == "\r":
        column = 0
    elif part == "\n":
        screen.append("")
    elif part == "\x1b[K":
        screen[-1] = screen[-1][:column]
    else:
        screen[-1] = screen[-1][:column] + part + screen[-1][column + len(part):]
        column += len(part)
        bar = re.match(r"epoch \d+/\d+ (\[=*>? *\] )?\d+/\d+  ", part)
        if bar:
            print("bar|" + part)
            too_long = too_long or len(part.replace("^C", "")) >= columns
print("\n".join("end|" + line for line in screen))
sys.exit(120 if too_long else code)
