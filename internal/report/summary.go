package report

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// How much the summary shows. The runner drops a summary of more than 1 MiB as
// a whole, so each list has an end, and report.json has the rest. With every
// text at its bound all of it is below that.
const (
	mostDetailed = 6  // images with a table of their own
	mostRows     = 24 // rows of such a table
	mostImages   = 50 // rows of images without one, failed and passed
	mostFailures = 15
	mostCommands = 10
	mostIgnored  = 30
	mostTimings  = 30
	mostWarnings = 10
)

// Summary returns the report as sections of GitHub's Markdown: the verdict, what
// failed and what to do, the images, a diagram, commands for others, and what
// few want to see.
func (r *Report) Summary() []string {
	groups := r.groups()
	sections := []string{r.headline(groups)}
	sections = append(sections, r.failures(groups)...)
	sections = append(sections, r.warnings()...)
	sections = append(sections, r.tables(groups)...)
	sections = append(sections, r.diagram(groups))
	sections = append(sections, r.commands(groups)...)
	return append(sections, r.details()...)
}

// headline is the verdict in plain words.
func (r *Report) headline(groups []group) string {
	mark := map[string]string{"passed": "✅", "refused": "❌", "configuration": "⚙️", "undecided": "❓"}[r.Outcome]
	if r.Passed() && !r.Verified() {
		mark = "⚠️"
	}
	return fmt.Sprintf("## %s signgate %s: %s\n\n%s\n\n%s\n", mark, r.verb(), strings.ToUpper(r.Outcome), r.inWords(groups), r.facts(groups))
}

// verb is the command, when it looks like one: an unknown one can be anything.
func (r *Report) verb() string {
	if verbForm.MatchString(r.Command) {
		return r.Command
	}
	return "run"
}

var verbForm = regexp.MustCompile(`^[a-z][a-z-]{0,20}$`)

func (r *Report) inWords(groups []group) string {
	weights := map[bool]int{} // of images that did not pass, and that were spared
	for _, g := range groups {
		if w := g.weight(); w > 0 {
			weights[w == 1]++
		}
	}
	bad, spared := weights[false], weights[true]
	switch {
	case r.Passed() && r.DryRun:
		return "**A dry run: nothing was written.** Everything was signed and verified on this machine only."
	case r.Passed() && !r.Verified():
		return fmt.Sprintf("**Not verified.** A rule only warns; otherwise %d of %s would have been refused. The step has passed, and no tag was promoted.", spared, count(len(groups), "image"))
	case r.Passed() && r.Proof == ProofStored:
		return fmt.Sprintf("**%s %s**, and the registry has it. No trusted keys were given, so whether it is the right key was not checked.", are(len(groups), "image"), r.done())
	case r.Passed():
		return fmt.Sprintf("**%s.** The required trusted keys have signed.", meet(len(groups)))
	case r.Outcome == "refused" && len(groups) > 0:
		return fmt.Sprintf("**Do not use what was refused.** %d of %s did not pass.", bad, count(len(groups), "image"))
	case r.Outcome == "refused":
		return "**The run was refused.** Nothing was signed or let through."
	case r.Outcome == "configuration":
		return "**What was given cannot be used.** Nothing was decided; correct it and run again."
	case bad > 0 && bad < len(groups):
		return fmt.Sprintf("**%d of %s could not be decided.** ", bad, count(len(groups), "image")) + unanswered
	}
	return "**Nothing was decided.** " + unanswered
}

const unanswered = "A registry, a key backend or the network did not answer well enough to know. That is not a pass."

// done is what a verb has done to images that have passed.
func (r *Report) done() string {
	if r.Command == "attest" {
		return "attested"
	}
	if r.attested() {
		return "signed and attested"
	}
	return "signed"
}

func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return count(n, what) + " are"
}

func meet(n int) string {
	if n == 1 {
		return "The image meets its rule"
	}
	return fmt.Sprintf("All %d images meet their rules", n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// facts is a line of numbers: how many, how long, which run.
func (r *Report) facts(groups []group) string {
	var facts []string
	if len(groups) > 0 {
		facts = append(facts, count(len(groups), "image"), count(len(r.Subjects), "manifest"))
	}
	made, attested := 0, 0
	for _, s := range r.Subjects {
		made, attested = made+s.Signed, attested+s.Attested
	}
	if made > 0 {
		facts = append(facts, count(made, "new signature"))
	}
	if attested > 0 {
		facts = append(facts, count(attested, "new attestation"))
	}
	if r.DurationMS > 0 {
		facts = append(facts, duration(r.DurationMS))
	}
	if link := r.runLink(); link != "" {
		facts = append(facts, link)
	}
	return strings.Join(append(facts, fmt.Sprintf("exit code %d", r.ExitCode)), " · ")
}

func duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < time.Second {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

var runForm = regexp.MustCompile(`^https://[\w.:-]+/[\w.-]+/[\w.-]+/actions/runs/[0-9]+$`)

// runLink leads to the workflow run; "" without one, or when what the runner
// says is no address of one.
func (r *Report) runLink() string {
	if r.Run == nil {
		return ""
	}
	url := r.Run.Server + "/" + r.Run.Repository + "/actions/runs/" + r.Run.RunID
	if !runForm.MatchString(url) {
		return ""
	}
	return fmt.Sprintf("[run %s](%s)", r.Run.RunID, url)
}

// warnings are what did not stop the run.
func (r *Report) warnings() []string {
	var out []string
	for _, w := range r.Warnings[:min(len(r.Warnings), mostWarnings)] {
		out = append(out, "> [!WARNING]\n> "+prose(w)+"\n")
	}
	if more := len(r.Warnings) - mostWarnings; more > 0 {
		out = append(out, fmt.Sprintf("And %d more warnings, see report.json.\n", more))
	}
	return out
}
