package policy

import (
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/envelope"
)

// group reads a requirement, whose shape is "group", or "signers" for those of
// an attestation.
func (l *loader) group(n *yaml.Node, shape string) Group {
	m, _ := l.object(n, shape)
	g := Group{Name: l.text(m["name"]), Min: l.count(m["min"])}
	for _, f := range l.choices(m["formats"], "format", formatNames()) {
		g.Formats = append(g.Formats, envelope.Format(f))
	}
	var names []string
	complete := l.members(&g, m["keys"], &names)
	if g.Name == "" {
		g.Name = strings.Join(names, " or ")
	}
	if m["min"] == nil {
		g.Min = 1
	}
	switch distinct := g.distinct(); {
	case !complete:
	case m["min"] == nil && distinct > 1:
		l.fail(n, "write min: 1 for any of them, or a higher number", "the requirement has %d keys and does not say how many must have signed", distinct)
	case g.Min > distinct && distinct == len(names):
		l.fail(m["min"], "lower min or add keys", "min is %d, and the number of keys is %d", g.Min, distinct)
	case g.Min > distinct:
		l.fail(m["min"], "lower min or add keys; one key under two names counts once", "min is %d, and the number of different keys is %d", g.Min, distinct)
	}
	return g
}

func formatNames() []string {
	var names []string
	for _, f := range envelope.Formats() {
		names = append(names, string(f))
	}
	return names
}

// members adds the keys that n names. It reports whether all of them are known,
// so that more can be said about their number.
func (l *loader) members(g *Group, n *yaml.Node, names *[]string) (complete bool) {
	entries := l.list(n)
	complete = len(entries) > 0
	for _, c := range entries {
		name := l.text(c)
		k, known := l.keys[name]
		switch {
		case name == "":
		case !known && len(l.names) > 0:
			l.unknown(c, "key", l.names)
		case slices.Contains(*names, name):
			l.fail(c, "keep one of them", "the key %s is here twice", quote(name))
		case k != nil:
			g.Keys = append(g.Keys, k.Key)
		}
		complete = complete && k != nil
		*names = append(*names, name)
	}
	return complete
}

// disjoint refuses a key in two groups that are both required, because one
// signature would meet both, and two groups of one name.
func (l *loader) disjoint(n *yaml.Node, groups []Group) {
	for i, g := range groups {
		if j := slices.IndexFunc(groups[:i], func(o Group) bool { return o.Name == g.Name && g.Name != "" }); j >= 0 && len(g.Keys) > 0 {
			l.fail(n.Content[i], "give it another name", "the requirement in line %d has the name %s as well", n.Content[j].Line, quote(g.Name))
		}
		for _, k := range g.Keys {
			for _, o := range slices.Concat(keysOf(groups[:i])...) {
				if k.Fingerprint == o.Fingerprint {
					l.fail(n.Content[i], "keep it in one requirement, or write one requirement with a higher min", "%s another requirement as well, so one signature would meet both", sameKey(k, o))
					break
				}
			}
		}
	}
}

func keysOf(groups []Group) [][]envelope.Key {
	var out [][]envelope.Key
	for _, g := range groups {
		out = append(out, g.Keys)
	}
	return out
}

func sameKey(k, o envelope.Key) string {
	if k.Name == o.Name {
		return "the key " + k.Name + " is in"
	}
	return "the key " + k.Name + " is the key " + o.Name + ", which is in"
}

func (l *loader) attestation(n *yaml.Node) Attestation {
	m, _ := l.object(n, "attestation")
	a := Attestation{Type: l.predicateType(m["type"]), MaxAge: l.span(m["maxAge"]), Which: Newest}
	switch {
	case m["which"] != nil:
		a.Which = Which(l.choice(m["which"], string(Any), string(Newest), string(All)))
	case m["maxAge"] == nil:
		a.Which = Any
	}
	if m["by"] != nil {
		a.By = l.group(m["by"], "signers")
		a.By.Formats = nil // wherever an attestation stands
	}
	if a.Which != Any && m["maxAge"] == nil {
		l.fail(m["which"], "add maxAge, or write which: any", "which: %s without maxAge does not notice when the newest was deleted", a.Which)
	}
	if text := l.raw(m["where"]); text != "" {
		var err error
		if a.Where, err = l.compiler.compile(text); err != nil {
			l.fail(m["where"], "the variables are predicate, predicateType, image.repository, image.digest and image.tag", "%s", what(err))
		}
	}
	return a
}

// predicateType reads the type of an attestation, which is a URI. A signature is
// not one.
func (l *loader) predicateType(n *yaml.Node) string {
	text := l.text(n)
	if text == "" {
		return ""
	}
	switch u, err := url.Parse(text); {
	case text == envelope.SignaturePredicate:
		l.fail(n, "ask for signatures with require", "this is the type of a signature, not of an attestation")
	case err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "":
		l.fail(n, "write the whole predicate type, such as https://slsa.dev/provenance/v1", "%s is no predicate type", quote(text))
	}
	return text
}
