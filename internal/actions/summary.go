package actions

import (
	"fmt"
	"strings"
)

const (
	// summaryLimit is the runner's limit for one step. A summary above it is
	// dropped as a whole, so it must never be reached.
	summaryLimit = 1 << 20
	// summaryReserve is room for the note about what was left out.
	summaryReserve = 256
)

// AddSummary appends Markdown to the job summary. Each section is a piece that
// stands for itself, such as a heading with its table; when the sections do
// not all fit, whole trailing sections are left out and a note says how many.
// Markdown is never cut in the middle. Empty sections are skipped.
func (r *Runner) AddSummary(sections ...string) error {
	if !r.Active() {
		return nil
	}
	f, err := r.open("GITHUB_STEP_SUMMARY")
	if err != nil {
		return err
	}
	info, err := f.Stat()
	_ = f.Close() // nothing was written to it
	if err != nil {
		return fileFault("GITHUB_STEP_SUMMARY", err)
	}
	text := compose(blocks(sections), summaryLimit-int(info.Size()))
	if text == "" {
		return nil
	}
	return r.appendTo("GITHUB_STEP_SUMMARY", text)
}

// blocks ends each section with a blank line, so that no section can continue
// a table or a paragraph of the one before.
func blocks(sections []string) []string {
	var out []string
	for _, s := range sections {
		if s = strings.TrimRight(s, "\r\n"); s != "" {
			out = append(out, s+"\n\n")
		}
	}
	return out
}

// compose joins as many leading blocks as fit into room bytes.
func compose(blocks []string, room int) string {
	if all := strings.Join(blocks, ""); len(all) <= room {
		return all
	}
	if room < summaryReserve {
		return "" // an earlier note stands there already
	}
	var b strings.Builder
	kept := 0
	for kept < len(blocks) && b.Len()+len(blocks[kept]) <= room-summaryReserve {
		b.WriteString(blocks[kept])
		kept++
	}
	fmt.Fprintf(&b, "_%d of %d sections are left out because a job summary is limited to 1 MiB; "+
		"the report file holds everything._\n\n", len(blocks)-kept, len(blocks))
	return b.String()
}
