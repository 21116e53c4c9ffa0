package report

import (
	"fmt"
	"slices"
	"strings"
)

// How much the diagram shows. More than some fifty nodes nobody can read.
const (
	mostClusters = 4
	mostEvidence = 6
	mostKinds    = 5
	mostKeys     = 6
)

// cluster is a node for images: one, or several of which the same is true.
type cluster struct {
	groups   []group
	evidence []evidence
	why      string // the code of what failed; "" after a pass
}

// evidence is what a key has signed, or attested: of which kinds, and for how
// many manifests.
type evidence struct {
	attested bool
	key      string
	kinds    []string
	n        int
}

// diagram draws how the images, by their signatures and attestations and the
// keys that made them, lead to the rule and the verdict: a flowchart of Mermaid
// (https://mermaid.js.org/syntax/flowchart.html), which GitHub renders. It is ""
// when there is nothing to draw.
func (r *Report) diagram(groups []group) string {
	if !slices.ContainsFunc(groups, group.decided) {
		return ""
	}
	d := &drawing{nodes: map[string]string{}}
	verdict := d.node("verdict", fmt.Sprintf("%s signgate %s<br>%s", mark(r.Outcome), r.verb(), strings.ToUpper(r.Outcome)), class(r.Outcome, !r.Verified()), "([", "])")
	clusters := gather(groups)
	for i, c := range clusters[:min(len(clusters), mostClusters)] {
		d.cluster(i, c, verdict)
	}
	if more := clusters[min(len(clusters), mostClusters):]; len(more) > 0 {
		n := 0
		for _, c := range more {
			n += len(c.groups)
		}
		d.link(d.node("more", fmt.Sprintf("%d more images<br>see report.json", n), "none", "[", "]"), "-.->", verdict)
	}
	return "### How it was decided\n\n```mermaid\n" + d.String() + "```\n"
}

func (g group) decided() bool { return g[0].Rule != nil }

// gather puts images of which the same is true together.
func gather(groups []group) []cluster {
	var out []cluster
	at := map[string]int{}
	for _, g := range groups {
		c := cluster{groups: []group{g}, evidence: g.evidence(), why: g.why()}
		key := fmt.Sprint(c.evidence, c.why, g.weight(), len(g), g.worst().Rule)
		if rule := g[0].Rule; rule != nil {
			key += rule.Name
		}
		i, again := at[key]
		if !again {
			at[key] = len(out)
			out = append(out, c)
			continue
		}
		out[i].groups = append(out[i].groups, g)
	}
	return out
}

// why returns the code of the first finding that did not pass.
func (g group) why() string {
	for _, f := range g.worst().Findings {
		if f.Outcome != "passed" {
			return f.Code
		}
	}
	return ""
}

// evidence counts what counted, by its key, over the manifests.
func (g group) evidence() []evidence {
	var out []evidence
	for _, s := range g {
		seen := map[int]bool{}
		note := func(attested bool, key, kind string) {
			i := slices.IndexFunc(out, func(e evidence) bool { return e.attested == attested && e.key == key })
			if i < 0 {
				i, out = len(out), append(out, evidence{attested: attested, key: key})
			}
			if !slices.Contains(out[i].kinds, kind) {
				out[i].kinds = append(out[i].kinds, kind)
			}
			if !seen[i] {
				seen[i] = true
				out[i].n++
			}
		}
		for _, sig := range s.Signatures {
			note(false, sig.Key, string(sig.Format))
		}
		for _, a := range s.Attestations {
			note(true, a.Key, typeName(a.Type))
		}
	}
	return out
}

// cluster draws one or several images with what leads from them to the verdict.
func (d *drawing) cluster(i int, c cluster, verdict string) {
	g := c.groups[0]
	key := fmt.Sprintf("image %d", i)
	img := d.node(key, c.text(), class(g.worst().Outcome, g.worst().Spared), "[", "]")
	rule := d.rule(g[0].Rule)
	d.link(rule, "-->", verdict)
	if c.why != "" {
		why := d.node(key+" why", "not met:<br>"+label(c.why, 40), class(g.worst().Outcome, g.worst().Spared), ">", "]")
		d.link(img, "-.->", why)
		d.link(why, "-.->", rule)
	}
	for j, e := range c.evidence[:min(len(c.evidence), mostEvidence)] {
		node := d.node(fmt.Sprintf("%s evidence %d", key, j), e.text(len(g)), "none", "(", ")")
		d.link(img, "-->", node)
		by := d.key(e.key)
		d.link(node, "-->", by)
		d.link(by, "-->", rule)
	}
	if more := len(c.evidence) - mostEvidence; more > 0 {
		node := d.node(key+" evidence", fmt.Sprintf("and by %d more keys", more), "none", "(", ")")
		d.link(img, "-->", node)
		d.link(node, "-->", rule)
	}
}

// text is the label of an image, or of several.
func (c cluster) text() string {
	g := c.groups[0]
	platforms := ""
	if n := len(g) - 1; n > 0 {
		platforms = "<br>index and " + count(n, "platform")
	}
	if n := len(c.groups); n > 1 {
		return fmt.Sprintf("%d images<br>%s and others%s", n, label(g.name(), 40), platforms)
	}
	return "image<br>" + label(g.name(), 40) + "<br>" + label(g[0].Digest, 20) + platforms
}

func (e evidence) text(of int) string {
	what := "signatures"
	if e.attested {
		what = "attestations"
	}
	lines := []string{what}
	for _, kind := range e.kinds[:min(len(e.kinds), mostKinds)] {
		lines = append(lines, label(kind, 32))
	}
	if more := len(e.kinds) - mostKinds; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more kinds", more))
	}
	switch {
	case of > 1 && e.n == of:
		lines = append(lines, fmt.Sprintf("on all %d manifests", of))
	case of > 1:
		lines = append(lines, fmt.Sprintf("on %d of %d manifests", e.n, of))
	}
	return strings.Join(lines, "<br>")
}
