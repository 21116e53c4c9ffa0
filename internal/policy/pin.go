package policy

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// Pin returns the text of a policy with the public key of a name, which is given
// in PEM, written into it: in place of the PEM or the path that it has, or as a
// new key. Comments and layout stay. The text has to be YAML with a mapping of
// keys; whether it is a policy says Load. It returns a configuration fault
// ("policy_invalid", "trusted_key_invalid") for anything else.
func Pin(text []byte, name, public string) ([]byte, error) {
	block, err := normalPEM(name, public)
	if err != nil {
		return nil, err
	}
	r := reader{shapes: shapes()}
	root, n := r.document(text), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
	if len(r.problems) == 0 {
		r.name(n)
	}
	if len(r.problems) > 0 {
		return nil, r.err("text")
	}
	keys := valueOf(root, "keys")
	if keys == nil || keys.Kind != yaml.MappingNode {
		return nil, fault.Configf("policy_invalid", "write keys: {NAME: {pem: PATH}}", "the policy has no mapping of keys to write %s into", name)
	}
	if old := valueOf(valueOf(keys, name), "pem"); old != nil && old.Value == block {
		return text, nil
	}
	spliced := splice(text, root, name, block)
	want, err := edit(root, keys, name, block)
	if err != nil {
		return nil, err
	}
	// The splice is for the eye; what it means is compared with the tree.
	if got := new(yaml.Node); spliced != nil && yaml.Unmarshal(spliced, got) == nil && len(got.Content) == 1 && same(got.Content[0], root) {
		return spliced, nil
	}
	return want, nil
}

// normalPEM returns the one public key of a text as a PUBLIC KEY block.
func normalPEM(name, text string) (string, error) {
	found, err := ParseKeys(name, []byte(text))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", badKey(name, fmt.Sprintf("it has %d keys", len(found)))
	}
	der, err := signer.MarshalPublicKey(found[0].Public)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// edit changes the tree and returns it as YAML.
func edit(root, keys *yaml.Node, name, block string) ([]byte, error) {
	literal := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: block}
	switch key := valueOf(keys, name); {
	case key == nil:
		keys.Content = append(keys.Content, text(name), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{text("pem"), literal}})
	case key.Kind != yaml.MappingNode:
		return nil, fault.Configf("policy_invalid", "write {pem: PATH}", "the key %s is %s and has to be a mapping", name, kind(key))
	case valueOf(key, "pem") == nil:
		key.Content = append(key.Content, text("pem"), literal)
	default:
		old := valueOf(key, "pem")
		literal.LineComment = old.LineComment
		*old = *literal
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err := enc.Encode(root)
	return out.Bytes(), err
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// splice returns the text with the key written into it, or nil where that takes
// more than a look at the lines: edit does it then.
func splice(text []byte, root *yaml.Node, name, block string) []byte {
	key := valueOf(valueOf(root, "keys"), name)
	if key == nil {
		return spliceKey(text, root, name, block)
	}
	old := valueOf(key, "pem")
	if old == nil {
		return nil
	}
	start := offset(text, old.Line, old.Column)
	end := scalarEnd(text, start, old, key.Content[0].Column-1)
	if end < 0 {
		return nil
	}
	value := strconv.Quote(block)
	if key.Style&yaml.FlowStyle == 0 {
		line, _, _ := strings.Cut(string(text[start:]), "\n")
		end = max(end, start+len(line))
		comment := ""
		if i := strings.Index(line, " #"); i >= 0 {
			comment = strings.TrimRight(line[i:], " \r")
		}
		value = "|" + comment + "\n" + strings.TrimSuffix(indented(block, key.Content[0].Column+1), "\n")
	}
	return bytes.Join([][]byte{text[:start], []byte(value), text[end:]}, nil)
}

// spliceKey adds a key before the others.
func spliceKey(text []byte, root *yaml.Node, name, block string) []byte {
	keys := valueOf(root, "keys")
	if keys.Style&yaml.FlowStyle != 0 {
		at := offset(text, keys.Line, keys.Column) + 1
		entry := name + ": {pem: " + strconv.Quote(block) + "}"
		if len(keys.Content) > 0 {
			entry += ", "
		}
		return bytes.Join([][]byte{text[:at], []byte(entry), text[at:]}, nil)
	}
	column := keys.Content[0].Column
	at, by := offset(text, nameOf(root, keys).Line+1, 1), strings.Repeat(" ", column-1)
	entry := by + name + ":\n" + by + "  pem: |\n" + indented(block, column+3)
	return bytes.Join([][]byte{text[:at], []byte(entry), text[at:]}, nil)
}

func indented(block string, by int) string {
	var out strings.Builder
	for line := range strings.Lines(block) {
		out.WriteString(strings.Repeat(" ", by) + line)
	}
	return out.String()
}

// offset returns where a line and a column, which count characters, are.
func offset(text []byte, line, column int) int {
	at := 0
	for range line - 1 {
		at += bytes.IndexByte(text[at:], '\n') + 1
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return at
}

// scalarEnd returns where a scalar ends whose field is indented by spaces, or -1
// for one that this does not find the end of.
func scalarEnd(text []byte, start int, n *yaml.Node, spaces int) int {
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		end, at := start, start
		for line := range strings.Lines(string(text[start:])) {
			content := strings.TrimSpace(line)
			if at > start && content != "" && len(line)-len(strings.TrimLeft(line, " ")) <= spaces {
				break
			}
			if at += len(line); content != "" {
				end = at - len(line) + len(strings.TrimRight(line, "\r\n"))
			}
		}
		return end
	case n.Style&yaml.DoubleQuotedStyle != 0:
		if quoted, err := strconv.QuotedPrefix(string(text[start:])); err == nil {
			return start + len(quoted)
		}
	case n.Style == 0 && n.Value != "" && bytes.HasPrefix(text[start:], []byte(n.Value)):
		return start + len(n.Value)
	}
	return -1
}

// valueOf returns the value of a name in a mapping, or nil.
func valueOf(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// nameOf returns the name of a value in a mapping.
func nameOf(n, value *yaml.Node) *yaml.Node {
	return n.Content[slices.Index(n.Content, value)-1]
}

// same reports whether two trees mean the same: keys in any order.
func same(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}
	for i := 0; i < len(a.Content); i++ {
		other := b.Content[i]
		if a.Kind == yaml.MappingNode {
			if other = valueOf(b, a.Content[i].Value); other == nil {
				return false
			}
			i++
		}
		if !same(a.Content[i], other) {
			return false
		}
	}
	return true
}
