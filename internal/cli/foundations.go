package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/size"
)

// maxSpec bounds a foundation's specification, in bytes.
const maxSpec = 1 << 20

func (c *cmd) foundations() *cobra.Command {
	return c.family(&cobra.Command{
		Use:   "foundations [COMMAND]",
		Short: "List the images that builds stand on",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			all, err := cl.Foundations(cc.Context())
			if err != nil {
				return err
			}
			return list(c.screen, all, "no foundations yet; bake one: naru bake FILE", []string{"NAME", "SIZE", "BAKED", "ABI", "DIGEST"}, func(f client.Foundation) []string {
				return []string{f.Name, size.Text(f.Bytes), age(f.CreatedAt) + " ago", dash(f.ABI), short(f.Digest)}
			})
		},
	}, &cobra.Command{
		Use: "show NAME", Short: "Show a foundation", Args: exactly("NAME"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			f, err := cl.Foundation(cc.Context(), args[0])
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(f)
			}
			c.screen.say("%s  %s, baked %s ago", c.screen.paint(strong, f.Name), size.Text(f.Bytes), age(f.CreatedAt))
			for _, line := range [][2]string{{"image", f.Ref}, {"abi", f.ABI}, {"lock", f.Lock}, {"sbom", f.SBOM}} {
				if line[1] != "" {
					c.screen.say("%s %s", pad(line[0]), line[1])
				}
			}
			return nil
		},
	}, c.foundationFile("lock NAME", "Print the lock file that a foundation was baked from", func(cc *cobra.Command, cl *client.Client, name string) ([]byte, error) {
		return cl.FoundationLock(cc.Context(), name)
	}), c.foundationFile("sbom NAME", "Print what is in a foundation, as CycloneDX JSON", func(cc *cobra.Command, cl *client.Client, name string) ([]byte, error) {
		return cl.FoundationSBOM(cc.Context(), name)
	}))
}

// foundationFile prints a document as it is.
func (c *cmd) foundationFile(use, text string, fetch func(*cobra.Command, *client.Client, string) ([]byte, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: text, Args: exactly("NAME"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			document, err := fetch(cc, cl, args[0])
			if err != nil {
				return err
			}
			_, err = c.world.Out.Write(document)
			return err
		},
	}
}

func (c *cmd) bake() *cobra.Command {
	var verbose, detach bool
	command := &cobra.Command{
		Use:   "bake FILE",
		Short: "Bake a foundation from its specification",
		Long:  "Bakes an image from packages, as FILE says (docs/foundations.md), for builds to stand on. A FILE of - is standard input.",
		Example: `  naru bake node.yml
  naru bake - < node.yml`,
		Args: exactly("FILE"),
		RunE: func(cc *cobra.Command, args []string) error {
			spec, err := c.readFile(args[0])
			if err != nil {
				return err
			}
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			op, err := cl.Bake(cc.Context(), spec)
			if err != nil {
				return err
			}
			if detach {
				return c.detached(op)
			}
			end, err := c.follow(cc.Context(), cl, op, verbose)
			if err != nil || c.screen.json {
				return err
			}
			var res client.BakeResult
			if err := end.Decode(&res); err != nil {
				return err
			}
			outcome := "baked"
			switch {
			case res.Reused:
				outcome = "nothing had to be done for"
			case res.Same:
				outcome = "baked, to the same image as before,"
			}
			c.screen.say("%s %s %s  %s", c.screen.paint(good, "✓"), outcome, res.Name, c.screen.paint(faint, res.Ref+"  "+took(res.Took)))
			return nil
		},
	}
	command.Flags().BoolVarP(&verbose, "verbose", "v", false, "show all output as it comes")
	command.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return command
}

// readFile reads a small file that an argument names; - is standard input.
func (c *cmd) readFile(name string) ([]byte, error) {
	var r io.Reader = c.world.In
	if name != "-" {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.dir(), path)
		}
		f, err := os.Open(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fault.New(fault.Invalid, "FILE", "%s does not exist", name)
		case err != nil:
			return nil, fault.Wrap(fault.Invalid, "FILE", err)
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSpec+1))
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "FILE", "%s cannot be read: %s", name, err)
	case len(text) > maxSpec:
		return nil, fault.New(fault.TooLarge, "FILE", "%s has more than %d KiB", name, maxSpec>>10)
	case strings.TrimSpace(string(text)) == "":
		return nil, fault.New(fault.Invalid, "FILE", "%s is empty", name).WithTry("see docs/foundations.md for what it says")
	}
	return text, nil
}
