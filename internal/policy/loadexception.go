package policy

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/image"
)

// longest is how far away the end of an exception may be.
const longest = 90 * 24 * time.Hour

func (l *loader) exception(n *yaml.Node) {
	m, _ := l.object(n, "exception")
	e := Exception{ID: l.name(m["id"]), Reason: l.text(m["reason"]), By: l.text(m["by"]), Until: l.instant(m["until"]), Image: l.excepted(m["image"])}
	if m["skip"] != nil {
		e.Skip = l.choices(m["skip"], "requirement that can be skipped:", Skippable())
	}
	if e.Until.After(l.source.Now.Add(longest)) {
		l.fail(m["until"], "choose a nearer end, and renew it when it is still needed", "the exception lasts longer than 90 days from now")
	}
	if e.ID != "" && slices.ContainsFunc(l.out.Exceptions, func(o Exception) bool { return o.ID == e.ID }) {
		l.fail(m["id"], "give it another id", "another exception has the id %s", e.ID)
	}
	if e.Image != "" && slices.ContainsFunc(l.out.Exceptions, func(o Exception) bool { return o.Image == e.Image }) {
		l.fail(m["image"], "write one exception", "another exception is for the same image")
	}
	l.out.Exceptions = append(l.out.Exceptions, e)
}

// excepted reads REPOSITORY[:TAG]@DIGEST, for which there has to be a rule.
func (l *loader) excepted(n *yaml.Node) string {
	text := l.text(n)
	if text == "" {
		return ""
	}
	i, err := image.Parse(text)
	if err != nil || i.Digest == "" {
		l.fail(n, "write REPOSITORY@sha256:…", "%s does not name one image by its digest", quote(text))
		return ""
	}
	if !l.misread && !slices.ContainsFunc(l.patterns, func(p placed) bool { return p.Matches(i.Repository) }) {
		l.fail(n, "correct it, or remove the exception", "no rule is for %s", i.Repository)
	}
	return i.Repository + "@" + i.Digest
}
