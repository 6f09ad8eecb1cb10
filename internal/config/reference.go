package config

import (
	"fmt"
	"strings"
)

// Reference renders docs/reference/configuration.md.
func Reference() string {
	c := Default(0, func(string) string { return "" })
	c.RunDir = "/run/naru/HASH"
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- written by the test of internal/config: go test ./internal/config -update -->

Every setting can be given in a file, as a variable, or as a flag of ` + "`naru up`, `naru server` and `naru gateway`" + `.
Later ones win: default, file, variable, flag. All mistakes are reported at once, each with its place and value.

The file is ` + "`config.yaml`" + ` in the data folder, or the one that ` + "`--config` or `NARU_CONFIG`" + ` names; it is YAML, and a
name before a dot is a group:

    apps_domain: apps.example.com
    listen:
      apps: 0.0.0.0:80
      apps_tls: 0.0.0.0:443

The variable of a setting is its name in capitals behind ` + "`NARU_`" + `, with ` + "`_`" + ` for the dot (` + "`NARU_LISTEN_APPS`" + `); its flag has
` + "`-`" + ` instead (` + "`--listen-apps`" + `). Sizes are written as ` + "`512KiB`, `256MiB`, `2GiB`" + `; times as ` + "`30s`, `10m`, `24h`" + `; lists in
variables and flags with commas.

Without root the data folder is ` + "`$XDG_DATA_HOME/naru`" + ` (else ` + "`~/.local/share/naru`" + `) and the run folder
` + "`$XDG_RUNTIME_DIR/naru/HASH`" + ` (else ` + "`/tmp/naru-UID/HASH`" + `). HASH stands for the data folder: eight hex digits.

| setting | form | default | meaning |
|---|---|---|---|
`)
	for _, f := range Fields() {
		value := f.Value(c)
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Key, f.Kind, value, strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	return b.String()
}
