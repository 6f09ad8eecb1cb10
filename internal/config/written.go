package config

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// Written returns the settings that differ from the defaults of this machine, as
// a configuration file for another one. Where folders and the key are is each
// machine's own and not in it.
func (c Config) Written() []byte {
	plain := Default(os.Getuid(), func(string) string { return "" })
	own := []string{"data_dir", "run_dir", "key_file"}
	var b bytes.Buffer
	for _, f := range Fields() {
		if v := f.Value(c); v != f.Value(plain) && !slices.Contains(own, f.Key) {
			fmt.Fprintf(&b, "%s: %s\n", f.Key, strconv.Quote(v))
		}
	}
	return b.Bytes()
}
