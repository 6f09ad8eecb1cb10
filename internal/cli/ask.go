package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"naru/internal/fault"
)

// maxSecret bounds a secret read from standard input, in bytes.
const maxSecret = 64 << 10

// person returns the terminal at which somebody can be asked.
func (c *cmd) person() (*os.File, bool) {
	f, ok := c.world.In.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// password reads a password without showing it; otherwise says where else it may
// come from, as a command to try.
func (c *cmd) password(ctx context.Context, prompt string, stdin bool, otherwise string) (string, error) {
	if stdin {
		return c.readSecret()
	}
	f, ok := c.person()
	if !ok {
		return "", fault.New(fault.Invalid, "password", "there is no terminal to ask for the password").WithTry("%s", otherwise)
	}
	return c.hidden(ctx, f, prompt)
}

// newPassword asks for a password twice, for nobody sees what they type.
func (c *cmd) newPassword(ctx context.Context, whose string, stdin bool, otherwise string) (string, error) {
	first, err := c.password(ctx, "new password"+whose+": ", stdin, otherwise)
	if err != nil || stdin {
		return first, err
	}
	again, err := c.password(ctx, "once more: ", false, otherwise)
	if err == nil && again != first {
		err = fault.New(fault.Invalid, "password", "the two passwords differ").WithTry("try again")
	}
	return first, err
}

// hidden reads a line from a terminal without showing it. Nothing shows any more
// before the prompt does, for people type ahead, and the terminal is as it was
// afterwards, also when they interrupt.
func (c *cmd) hidden(ctx context.Context, f *os.File, prompt string) (string, error) {
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	defer func() {
		_ = term.Restore(int(f.Fd()), before) // the terminal is gone
		fmt.Fprintln(c.world.Err)
	}()
	fmt.Fprint(c.world.Err, prompt)
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := typedLine(f)
		typed <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case l := <-typed:
		return l.text, l.err
	}
}

// The keys that mean something in a line that nobody sees.
const (
	interrupt  = 0x03 // Ctrl-C
	endOfInput = 0x04 // Ctrl-D
	backspace  = 0x08
	eraseAll   = 0x15 // Ctrl-U
	rubout     = 0x7f
)

// typedLine reads a line from a raw terminal.
func typedLine(r io.Reader) (string, error) {
	var text []byte
	key := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, key); err != nil {
			return "", fmt.Errorf("read from the terminal: %w", err)
		}
		switch key[0] {
		case '\r', '\n':
			return string(text), nil
		case interrupt, endOfInput:
			return "", exitCode(130)
		case backspace, rubout:
			_, last := utf8.DecodeLastRune(text)
			text = text[:len(text)-last]
		case eraseAll:
			text = text[:0]
		default:
			if text = append(text, key[0]); len(text) > maxSecret {
				return "", fault.New(fault.TooLarge, "", "the line has more than %d KiB", maxSecret>>10).WithTry("give it on standard input")
			}
		}
	}
}

// readSecret reads all of standard input, without the newline at its end.
func (c *cmd) readSecret() (string, error) {
	text, err := io.ReadAll(io.LimitReader(c.world.In, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read standard input: %w", err)
	case len(text) > maxSecret:
		return "", fault.New(fault.TooLarge, "standard input", "it has more than %d KiB", maxSecret>>10).WithTry("keep long things in a file of the image, or a service")
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// sure asks before something is lost. Without a person the answer must be in the
// command line: yes.
func (c *cmd) sure(yes bool, question, command string) error {
	if yes {
		return nil
	}
	f, ok := c.person()
	if !ok {
		return fault.New(fault.Invalid, "", "there is no terminal to ask: %s", question).WithTry("%s --yes", command)
	}
	fmt.Fprint(c.world.Err, question+" [y/N] ")
	answer, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read from the terminal: %w", err)
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return fault.New(fault.Invalid, "", "nothing was removed").WithTry("%s --yes", command)
	}
	return nil
}
