package policy

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
)

func (l *loader) rule(n *yaml.Node, i int) Rule {
	m, _ := l.object(n, "rule")
	r := Rule{
		Validity: map[string]Validity{},
		Index:    Index(l.choice(m["index"], string(EveryChild), string(Self))),
		Mode:     Mode(l.choice(m["mode"], string(Enforce), string(Warn))),
	}
	l.match(&r, m["match"], i)
	for _, c := range l.list(m["require"]) {
		r.Require = append(r.Require, l.group(c, "group"))
	}
	l.disjoint(m["require"], r.Require)
	if m["maxAge"] != nil {
		age, _ := l.object(m["maxAge"], "maxAge")
		r.MaxAge = l.span(age["signature"])
	}
	if m["bind"] != nil {
		r.Bind = l.bind(m["bind"], r.Patterns)
	}
	for _, c := range l.list(m["attestations"]) {
		r.Attestations = append(r.Attestations, l.attestation(c))
	}
	if m["base"] != nil {
		before := len(l.problems)
		if r.Base = l.base(m["base"]); len(l.problems) == before {
			l.proven(m["base"], r)
		}
	}
	for _, k := range r.Keys() {
		l.validity(&r, k)
	}
	return r
}

func (l *loader) match(r *Rule, n *yaml.Node, i int) {
	entries := l.list(n)
	l.misread = l.misread || len(entries) == 0
	for _, c := range entries {
		text := l.text(c)
		pattern, wrong, fix := parsePattern(text)
		if text != "" && wrong != "" {
			l.fail(c, fix, "%s", wrong)
		}
		if wrong != "" {
			l.misread = true
			continue
		}
		r.Patterns = append(r.Patterns, pattern)
		r.Name = strings.TrimPrefix(r.Name+", "+pattern.text, ", ")
		l.patterns = append(l.patterns, placed{pattern, i, c})
	}
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

func (l *loader) bind(n *yaml.Node, patterns []Pattern) Bind {
	m, ok := l.object(n, "bind")
	if ok && len(n.Content) == 0 {
		l.fail(n, "write repository: signed, or leave bind out", "nothing is bound")
	}
	b := Bind{Tag: m["tag"] != nil, Rollback: m["rollback"] != nil, Repository: m["repository"] != nil}
	l.choice(m["tag"], "signed")
	l.choice(m["rollback"], "deny")
	switch repository := m["repository"]; {
	case repository == nil || repository.Kind != yaml.MappingNode:
		l.choice(repository, "signed")
	default:
		remap, _ := l.object(repository, "remapping")
		b.Remap = l.remap(remap["remap"], patterns)
	}
	if b.Rollback && !b.Tag {
		l.fail(m["rollback"], "add tag: signed", "rollback compares the sequence numbers of one tag, and the tag is not bound")
	}
	return b
}

// prefix is a registry, or a registry and the beginning of a path.
var prefix = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

func (l *loader) remap(n *yaml.Node, patterns []Pattern) map[string]string {
	out := map[string]string{}
	if n == nil {
		return out
	}
	ok := l.pairs(n, "remap", func(from, to *yaml.Node) {
		source, target := image.Canonical(from.Value), image.Canonical(l.text(to))
		_, twice := out[source]
		switch {
		case !prefix.MatchString(source):
			l.fail(from, "write it as registry.acme.io/mirror", "%s is not the beginning of a repository name", quote(from.Value))
		case target != "" && !prefix.MatchString(target):
			l.fail(to, "write it as ghcr.io/vendor", "%s is not the beginning of a repository name", quote(to.Value))
		case twice:
			l.fail(from, "keep one of them", "%s is here twice", quote(source))
		case len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p Pattern) bool { return meet(p.text, source) || meet(p.text, source+"/**") }):
			l.fail(from, "write the beginning of the rule's own repositories", "the rule is for no repository that begins with %s", quote(source))
		}
		out[source] = target
	})
	if ok && len(n.Content) == 0 {
		l.fail(n, "write remap: {MIRROR: ORIGINAL}, or repository: signed", "nothing is remapped")
	}
	return out
}

// proven refuses a base image from provenance that nobody has to have signed.
func (l *loader) proven(n *yaml.Node, r Rule) {
	provenance := func(a Attestation) bool { return strings.HasPrefix(a.Type, "https://slsa.dev/provenance/") }
	if r.Base.DigestFrom == "provenance" && !slices.ContainsFunc(r.Attestations, provenance) {
		l.fail(n, "require the attestation https://slsa.dev/provenance/v1, or write digestFrom: annotations", "the base image is looked for in provenance, and the rule requires none")
	}
}

func (l *loader) base(n *yaml.Node) *Base {
	m, _ := l.object(n, "base")
	if must := m["mustMatchRule"]; must != nil && (must.Tag != "!!bool" || must.Value != "true") {
		l.fail(must, "write mustMatchRule: true, or leave base out", "this is %s, so base would require nothing", shown(must))
	}
	return &Base{DigestFrom: l.choice(m["digestFrom"], "provenance", "annotations")}
}
