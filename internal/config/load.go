package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"naru/internal/fault"
)

// Source is the world as far as configuration is concerned.
type Source struct {
	UID    int                 // of the user; 0 is root, -1 where there are none
	Getenv func(string) string // the environment
	Flags  Flags               // what was said on the command line
}

// Flags has the flags that were given, by field key, plus "config", the file.
type Flags map[string]string

// FlagSet is the part of flag.FlagSet and pflag.FlagSet that Bind needs.
type FlagSet interface {
	Func(name, usage string, fn func(string) error)
	BoolFunc(name, usage string, fn func(string) error)
}

// Bind defines --config and a flag for every setting; what is given lands in
// f. A malformed value is reported by Load, with all others.
func (f Flags) Bind(fs FlagSet) {
	keep := func(key string) func(string) error {
		return func(text string) error {
			f[key] = text
			return nil
		}
	}
	fs.Func("config", "configuration file (default DATA/config.yaml where it exists)", keep("config"))
	for _, field := range Fields() {
		if field.Kind == "yes/no" {
			fs.BoolFunc(field.Flag(), field.Doc, keep(field.Key))
			continue
		}
		fs.Func(field.Flag(), field.Doc, keep(field.Key))
	}
}

// Load reads the configuration: defaults, then the file (--config, NARU_CONFIG,
// or config.yaml in the data folder where it exists), then NARU_* variables,
// then flags. The error is a fault that lists every complaint, each with its
// place, its field and its value.
func Load(src Source) (Config, error) {
	c := Default(src.UID, src.Getenv)
	var complaints []error

	// The data folder decides where the file is, so it is read first.
	dir := either(func(name string) string {
		if name == "flag" {
			return src.Flags["data_dir"]
		}
		return src.Getenv(name)
	}, "flag", "NARU_DATA_DIR")
	if dir != "" {
		c.DataDir = dir
	}
	path, err := configFile(src, c.DataDir)
	if err != nil {
		return Config{}, err
	}
	if path != "" {
		complaints = append(complaints, readFile(&c, path)...)
	}

	for _, f := range Fields() {
		if text := src.Getenv(f.Env()); text != "" {
			complaints = append(complaints, given(&c, f, f.Env(), text))
		}
		if text, ok := src.Flags[f.Key]; ok {
			complaints = append(complaints, given(&c, f, "--"+f.Flag(), text))
		}
	}
	if c.DataDir != "" {
		if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
			return Config{}, fmt.Errorf("find the data folder: %w", err)
		}
		c.DataDir = resolved(c.DataDir)
	}
	if c.RunDir == "" {
		c.RunDir = runDir(c, src.UID, src.Getenv)
	}
	complaints = append(complaints, c.complaints()...)
	if err := errors.Join(complaints...); err != nil {
		return Config{}, fault.New(fault.Invalid, "configuration", "%v", err).
			WithTry("see docs/reference/configuration.md")
	}
	return c, nil
}

// given reads one value that came from the outside.
func given(c *Config, f Field, place, text string) error {
	if err := f.set(c, text); err != nil {
		return fmt.Errorf("%s: %s %w (got %q)", place, f.Key, err, text)
	}
	return nil
}

func configFile(src Source, dataDir string) (string, error) {
	path := src.Flags["config"]
	if path == "" {
		path = src.Getenv("NARU_CONFIG")
	}
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fault.New(fault.Invalid, "config", "the configuration file %s cannot be read: %v", path, err)
		}
		return path, nil
	}
	if dataDir == "" {
		return "", nil
	}
	path = filepath.Join(dataDir, "config.yaml")
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return "", fault.New(fault.Invalid, "config", "the configuration file %s cannot be read: %v", path, err)
	}
	return path, nil
}

// Environ writes the whole configuration as NARU_* variables: a process that
// gets them and calls Load agrees with the one that gave them, whatever was
// said on whose command line or in which file.
func (c Config) Environ() []string {
	env := []string{"NARU_CONFIG=" + os.DevNull}
	for _, f := range Fields() {
		env = append(env, f.Env()+"="+f.Value(c))
	}
	return env
}
