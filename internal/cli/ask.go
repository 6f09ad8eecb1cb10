package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

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

// password reads a password without showing it; in says where else it may come
// from, as a command to try.
func (c *cmd) password(prompt string, stdin bool, otherwise string) (string, error) {
	if stdin {
		return c.readSecret()
	}
	f, ok := c.person()
	if !ok {
		return "", fault.New(fault.Invalid, "password", "there is no terminal to ask for the password").WithTry("%s", otherwise)
	}
	return c.hidden(f, prompt)
}

// newPassword asks for a password twice, for nobody sees what they type.
func (c *cmd) newPassword(whose string, stdin bool, otherwise string) (string, error) {
	first, err := c.password("new password"+whose+": ", stdin, otherwise)
	if err != nil || stdin {
		return first, err
	}
	again, err := c.password("once more: ", false, otherwise)
	if err == nil && again != first {
		err = fault.New(fault.Invalid, "password", "the two passwords differ").WithTry("try again")
	}
	return first, err
}

// hidden reads a line from a terminal without showing it.
func (c *cmd) hidden(f *os.File, prompt string) (string, error) {
	fmt.Fprint(c.world.Err, prompt)
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(c.world.Err)
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	return string(text), nil
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
