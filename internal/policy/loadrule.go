package policy

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

func (l *loader) rule(n *yaml.Node) Rule {
	m := l.mapping(n, "match", "require", "maxAge", "bind", "index", "attestations", "base", "mode")
	r := Rule{Validity: map[string]Validity{}, Index: Index(l.choice(m["index"], string(EveryChild), string(Self))), Mode: Mode(l.choice(m["mode"], string(Enforce), string(Warn)))}
	for _, needed := range []string{"match", "require"} {
		if m[needed] == nil {
			l.fail(n, "add "+needed+": […]", "the rule has no %s", needed)
		}
	}
	for _, c := range l.list(m["match"]) {
		pattern, wrong, fix := parsePattern(l.text(c))
		if wrong != "" {
			l.fail(c, fix, "%s", wrong)
			continue
		}
		r.Patterns = append(r.Patterns, pattern)
		r.Name = strings.TrimPrefix(r.Name+", "+pattern.text, ", ")
	}
	for i, c := range l.list(m["require"]) {
		r.Require = append(r.Require, l.group(c, i))
	}
	l.disjoint(m["require"], r.Require)
	if age := m["maxAge"]; age != nil {
		r.MaxAge = l.span(l.mapping(age, "signature")["signature"])
	}
	r.Bind = l.bind(m["bind"])
	for _, c := range l.list(m["attestations"]) {
		r.Attestations = append(r.Attestations, l.attestation(c))
	}
	if b := m["base"]; b != nil {
		r.Base = l.base(b)
	}
	for _, g := range r.groups() {
		for _, k := range g.Keys {
			l.validity(&r, k)
		}
	}
	return r
}

// validity notes when a key of the rule counts. A key with several names has the
// strictest of their limits.
func (l *loader) validity(r *Rule, k envelope.Key) {
	v := Validity{}
	for _, named := range l.out.Keys {
		if named.Fingerprint == k.Fingerprint {
			v = v.with(named.Validity)
		}
	}
	r.Validity[k.Fingerprint] = v
}

func (l *loader) group(n *yaml.Node, i int) Group {
	m := l.mapping(n, "name", "keys", "min", "formats")
	g := Group{Name: l.text(m["name"]), Min: l.whole(m["min"]), Formats: envelope.Formats()}
	names := l.texts(m["keys"])
	if m["keys"] == nil {
		l.fail(n, "add keys: [NAME]", "the requirement names no keys")
	}
	for j, name := range names {
		k, known := l.names[name]
		if !known {
			near, _ := fault.Nearest(name, l.keyNames())
			l.fail(m["keys"].Content[j], "did you mean "+near+"? Define it under keys", "there is no key %q", name)
			continue
		}
		g.Keys = append(g.Keys, k.Key)
	}
	if g.Name == "" {
		g.Name = strings.Join(names, " or ")
	}
	switch distinct := g.distinct(); {
	case m["min"] == nil && distinct > 1:
		l.fail(n, "write min: 1 for any of them, or a higher number", "the requirement has %d keys and does not say how many must have signed", distinct)
	case m["min"] == nil:
		g.Min = 1
	case g.Min > distinct && distinct == len(names):
		l.fail(m["min"], "lower min or add keys", "min is %d, and there are only %d keys", g.Min, distinct)
	case g.Min > distinct && distinct > 0:
		l.fail(m["min"], "lower min or add keys; one key under two names counts once", "min is %d, and there are only %d different keys", g.Min, distinct)
	}
	return g
}

func (l *loader) keyNames() []string {
	var names []string
	for _, k := range l.out.Keys {
		names = append(names, k.Name)
	}
	return names
}

// disjoint refuses a key in two groups that are both required: one signature
// would meet both.
func (l *loader) disjoint(n *yaml.Node, groups []Group) {
	for i, g := range groups {
		for _, other := range groups[:i] {
			for _, k := range g.Keys {
				if slices.ContainsFunc(other.Keys, func(o envelope.Key) bool { return o.Fingerprint == k.Fingerprint }) {
					l.fail(n.Content[i], "keep it in one group, or use one group with a higher min",
						"the key %s is in this group and in %q, so one signature would meet both", k.Name, other.Name)
				}
			}
		}
	}
}

// ties refuses patterns of which neither is more specific.
func (l *loader) ties(n *yaml.Node) {
	for i, r := range l.out.Rules {
		for _, other := range l.out.Rules[:i] {
			for _, a := range r.Patterns {
				for _, b := range other.Patterns {
					if a.ties(b) {
						l.fail(n.Content[i], "make one of them more specific", "the pattern %s and %s of another rule match the same images, and neither is more specific", a, b)
					}
				}
			}
		}
	}
}

func (l *loader) bind(n *yaml.Node) Bind {
	m := l.mapping(n, "repository", "tag", "rollback")
	b := Bind{Tag: m["tag"] != nil, Rollback: m["rollback"] != nil, Repository: m["repository"] != nil}
	l.choice(m["tag"], "signed")
	l.choice(m["rollback"], "deny")
	switch repository := m["repository"]; {
	case repository == nil || repository.Kind != yaml.MappingNode:
		l.choice(repository, "signed")
	default:
		b.Remap = map[string]string{}
		l.pairs(l.mapping(repository, "remap")["remap"], func(from, to *yaml.Node) {
			b.Remap[image.Canonical(from.Value)] = image.Canonical(l.text(to))
		})
		if len(b.Remap) == 0 {
			l.fail(repository, "write remap: {MIRROR: ORIGINAL}, or repository: signed", "nothing is remapped")
		}
	}
	if b.Rollback && !b.Tag {
		l.fail(m["rollback"], "add tag: signed", "rollback compares the sequence numbers of one tag, and the tag is not bound")
	}
	return b
}

func (l *loader) attestation(n *yaml.Node) Attestation {
	m := l.mapping(n, "type", "by", "which", "maxAge", "where")
	a := Attestation{Type: l.text(m["type"]), Which: Which(l.choice(m["which"], string(Any), string(Newest), string(All))), MaxAge: l.span(m["maxAge"])}
	for _, needed := range []string{"type", "by"} {
		if m[needed] == nil {
			l.fail(n, "add "+needed+":", "the attestation has no %s", needed)
		}
	}
	if m["by"] != nil {
		a.By = l.group(m["by"], 0)
	}
	if a.Which != Any && m["maxAge"] == nil {
		l.fail(n, "add maxAge, or use which: any", "which: %s without maxAge does not notice when the newest was deleted", a.Which)
	}
	if text := l.text(m["where"]); text != "" {
		c, err := compile(text)
		if err != nil {
			l.fail(m["where"], "the variables are predicate, predicateType and image; see docs/policy.md", "%s", err)
		}
		a.Where = c
	}
	return a
}

func (l *loader) base(n *yaml.Node) *Base {
	m := l.mapping(n, "mustMatchRule", "digestFrom")
	if must := m["mustMatchRule"]; must == nil || must.Value != "true" {
		l.fail(n, "write mustMatchRule: true, or leave base out", "base requires nothing")
	}
	return &Base{DigestFrom: l.choice(m["digestFrom"], "provenance", "annotations")}
}

func (l *loader) skips(n *yaml.Node, skip []string) {
	for i, s := range skip {
		if !slices.Contains(Skippable(), s) {
			l.fail(n.Content[i], "an exception can skip "+strings.Join(Skippable(), ", "), "%q cannot be skipped", s)
		}
	}
}

var digestReference = regexp.MustCompile(`^([^@:]+(?::[0-9]+)?/[^@:]+)(?::[^@/]+)?@(sha256:[0-9a-f]{64})$`)

// digestReference reads REPOSITORY@DIGEST.
func (l *loader) digestReference(n *yaml.Node) string {
	text := l.text(n)
	m := digestReference.FindStringSubmatch(text)
	if m == nil {
		if text != "" {
			l.fail(n, "write REPOSITORY@sha256:…", "%q does not name one image by its digest", text)
		}
		return ""
	}
	return image.Canonical(m[1]) + "@" + m[2]
}
