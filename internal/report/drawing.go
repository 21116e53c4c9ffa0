package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// drawing collects the lines of a flowchart. A node is drawn once.
type drawing struct {
	lines, classes []string
	nodes          map[string]string // by what it stands for
	links          []string
}

// node returns the node that stands for key, and draws it the first time. Its
// text is a label already, see label.
func (d *drawing) node(key, text, class, open, end string) string {
	if id := d.nodes[key]; id != "" {
		return id
	}
	id := fmt.Sprintf("n%d", len(d.nodes))
	d.nodes[key] = id
	d.lines = append(d.lines, fmt.Sprintf("  %s%s\"%s\"%s", id, open, text, end))
	d.classes = append(d.classes, fmt.Sprintf("  class %s %s", id, class))
	return id
}

func (d *drawing) link(from, arrow, to string) {
	if l := fmt.Sprintf("  %s %s %s", from, arrow, to); !slices.Contains(d.links, l) {
		d.links = append(d.links, l)
	}
}

// key draws a key; beyond some, they share a node.
func (d *drawing) key(name string) string {
	keys := 0
	for k := range d.nodes {
		if strings.HasPrefix(k, "key ") {
			keys++
		}
	}
	if d.nodes["key "+name] == "" && keys >= mostKeys {
		return d.node("keys", "further keys", "key", "{{", "}}")
	}
	return d.node("key "+name, "key<br>"+label(name, 32), "key", "{{", "}}")
}

func (d *drawing) rule(rule *Rule) string {
	if rule == nil {
		return d.node("no rule", "no rule was reached", "none", "[/", "/]")
	}
	text := "rule<br>" + label(rule.Name, 40)
	switch {
	case rule.Policy == "" && rule.Name == "stored":
		text = "what was made<br>has to be stored"
	case rule.Policy != "":
		text += "<br>policy " + label(rule.Policy, 32) + "<br>sha256 " + label(rule.SHA256[:min(len(rule.SHA256), 12)], 12)
	}
	return d.node("rule "+rule.Name+" "+rule.SHA256, text, "rule", "[/", "/]")
}

// class returns the class of a node by its outcome.
func class(outcome string, spared bool) string {
	if outcome == "passed" && spared {
		return "unknown"
	}
	return cmp.Or(map[string]string{"passed": "good", "undecided": "unknown"}[outcome], "bad")
}

// String returns the flowchart. Fills come with a colour for the text, so that
// both are right in a dark theme, too.
func (d *drawing) String() string {
	styles := []string{
		"  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0a3d1a",
		"  classDef bad fill:#ffebe9,stroke:#cf222e,color:#82071e",
		"  classDef unknown fill:#fff8c5,stroke:#9a6700,color:#4d2d00",
		"  classDef key fill:#ddf4ff,stroke:#0969da,color:#0a3069",
		"  classDef rule fill:#fbefff,stroke:#8250df,color:#3e1f79",
		"  classDef none fill:#f6f8fa,stroke:#8c959f,color:#24292f",
	}
	return strings.Join(slices.Concat([]string{"flowchart LR"}, d.lines, d.links, styles, d.classes), "\n") + "\n"
}
