package cf

import (
	"encoding/json"

	"gopkg.in/yaml.v3"
)

// isText reports a string, quoted or not.
func isText(v *yaml.Node) bool { return v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" }

// sized reports a text that is neither empty nor too long.
func sized(text string, most int) bool { return text != "" && len(text) <= most }

// texts is a map with every value a text, as Cloud Foundry takes variables: lists and
// maps as JSON, nothing as the empty text.
func texts(v *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: v.Line}
	for i := 0; i+1 < len(v.Content); i += 2 {
		name, value := v.Content[i], aliased(v.Content[i+1])
		if name.Tag != "!!merge" {
			value = textOf(value)
		}
		out.Content = append(out.Content, name, value)
	}
	return out
}

func textOf(v *yaml.Node) *yaml.Node {
	text := v.Value
	switch {
	case empty(v):
		text = ""
	case v.Kind == yaml.ScalarNode && v.ShortTag() != "!!binary":
	default:
		var any any
		if v.Decode(&any) != nil {
			return v
		}
		if s, plain := any.(string); plain {
			text = s
			break
		}
		b, err := json.Marshal(any)
		if err != nil {
			return v // keys that are no texts: who reads it says so
		}
		text = string(b)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text, Line: v.Line}
}
