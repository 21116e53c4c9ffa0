package actions

import (
	"fmt"
	"strings"
	"sync"

	"github.com/sethvargo/go-githubactions"
)

// level is a kind of annotation and the workflow command that makes one.
type level string

const (
	levelError   level = "error"
	levelWarning level = "warning"
	levelNotice  level = "notice"
)

// annotationLimit is how many annotations of one kind the runner shows for a
// step. It drops later ones without a word; this package logs them instead.
const annotationLimit = 10

// Error annotates the run with an error. Title and text may be foreign.
func (r *Runner) Error(title, text string) { r.annotate(levelError, title, text) }

// Warning annotates the run with a warning. Title and text may be foreign.
func (r *Runner) Warning(title, text string) { r.annotate(levelWarning, title, text) }

// Notice annotates the run with a notice. Title and text may be foreign.
func (r *Runner) Notice(title, text string) { r.annotate(levelNotice, title, text) }

// Debug writes a debug line when the user asked the runner for debug output.
// The text may be foreign.
func (r *Runner) Debug(text string) {
	if r.Debugging() {
		r.issue("debug", nil, text)
	}
}

// Group starts a fold in the log and returns the function that ends it.
// Groups do not nest in the runner. The name may be foreign.
func (r *Runner) Group(name string) (end func()) {
	if !r.Active() {
		return func() {}
	}
	r.issue("group", nil, name)
	return sync.OnceFunc(func() { r.issue("endgroup", nil, "") })
}

// Finish says how many annotations the runner would not have shown. Call it
// once, after the last annotation.
func (r *Runner) Finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range []level{levelError, levelWarning, levelNotice} {
		if more := r.issued[l] - annotationLimit; more > 0 {
			fmt.Fprintf(r.out, "%d further %s annotations are in the log above only: the runner shows %d of a kind\n",
				more, l, annotationLimit)
		}
	}
}

func (r *Runner) annotate(l level, title, text string) {
	if !r.Active() {
		return
	}
	if !r.take(l) {
		fmt.Fprintf(r.out, "%s: %s: %s\n", l, title, text)
		return
	}
	properties := githubactions.CommandProperties{}
	if title != "" {
		properties["title"] = title
	}
	r.issue(string(l), properties, text)
}

// take counts an annotation and reports whether the runner will show it.
func (r *Runner) take(l level) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.issued[l]++
	return r.issued[l] <= annotationLimit
}

// issue writes one command. It takes values, not a format, so that a '%' in
// foreign text stays one, and spoils the runner's other form of a command,
// which may stand anywhere in a line. A mask has to stay what it is.
func (r *Runner) issue(name string, properties githubactions.CommandProperties, text string) {
	if name != "add-mask" {
		text = strings.ReplaceAll(text, "##[", "## [")
	}
	r.command.IssueCommand(&githubactions.Command{Name: name, Properties: properties, Message: text})
}
