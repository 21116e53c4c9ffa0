package scan

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signgate/signgate/internal/attest"
)

// The text of clamscan has a line for each file and ends with a summary
// (https://docs.clamav.net/manual/Usage/Scanning.html). docs/predicates/malware-scan.md
// specifies the predicate that is made of it.
const (
	summaryLine = "----------- SCAN SUMMARY -----------"
	foundMark   = " FOUND"
	zoneLine    = "TZ=UTC" // ours: before the text, it says which time the dates are
	clamDate    = "2006:01:02 15:04:05"
)

// isClamscan reports whether text may be clamscan's: no JSON begins so.
func isClamscan(text []byte) bool {
	start := bytes.TrimLeft(text, " \t\r\n")
	return !bytes.HasPrefix(start, []byte("{")) && bytes.Contains(text, []byte(summaryLine))
}

type malware struct {
	Scanner  malwareScanner `json:"scanner"`
	Result   malwareResult  `json:"result"`
	Metadata metadataMember `json:"metadata"`
}

type malwareScanner struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Database struct {
		KnownViruses int `json:"knownViruses"`
	} `json:"database"`
}

type malwareResult struct {
	Clean    bool       `json:"clean"`
	Infected int        `json:"infected"`
	Scanned  int        `json:"scanned"`
	Findings []infected `json:"findings"`
}

type infected struct {
	Path string `json:"path"`
	Name string `json:"name"`
}

// clamscan reads what clamscan writes. Names of files stand there as they are, so
// each line may be part of one: what could be an error is one, and what was found
// has to agree with the summary.
func clamscan(text []byte) (attest.Predicate, error) {
	log, summary, _ := strings.Cut(readable(text), summaryLine)
	if strings.Contains(summary, summaryLine) {
		return attest.Predicate{}, unusable("attest one report of the whole image", "it has several summaries of clamscan")
	}
	findings, excluded, err := clamFindings(log)
	if err != nil {
		return attest.Predicate{}, err
	}
	s, err := clamSummary(summary)
	if err != nil {
		return attest.Predicate{}, err
	}
	if err := s.agrees(findings); err != nil {
		return attest.Predicate{}, err
	}
	m := malware{Result: malwareResult{Clean: s.infected == 0, Infected: s.infected, Scanned: s.scanned, Findings: findings}}
	m.Scanner = malwareScanner{Name: "ClamAV", Version: s.version}
	m.Scanner.Database.KnownViruses = s.known
	p := attest.Predicate{Type: attest.Malware, Notes: []string{"clamscan's report names no image, so nothing but its signer says which image was scanned"}}
	if excluded > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("files and folders that clamscan was told not to scan: %d", excluded))
	}
	if first, _, _ := strings.Cut(log, "\n"); strings.TrimSpace(first) == zoneLine {
		m.Metadata = metadataMember{clamTime(s.start), clamTime(s.end)}
	}
	if m.Metadata.Finished.IsZero() {
		p.Notes = append(p.Notes, "clamscan's dates have no time zone and the report does not begin with the line "+zoneLine+", so the predicate does not say when the scan finished, and a policy with maxAge will not count it")
	}
	p.Body, err = attest.Of(m)
	return p, err
}

// readable returns text with \xff for each byte that is no UTF-8, so that names
// which differ stay different.
func readable(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, text[0])
		} else {
			b.Write(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// clamFindings returns what was found, sorted and each once, and how many files and
// folders clamscan passed over because of its options.
func clamFindings(log string) (out []infected, excluded int, err error) {
	out = []infected{}
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		if clamError(line) {
			return nil, 0, failed("clamscan wrote %q", line)
		}
		if strings.HasSuffix(line, ": Excluded") || strings.HasSuffix(line, ": Excluded (/proc)") {
			excluded++
		}
		found, ok := strings.CutSuffix(line, foundMark)
		if !ok {
			continue
		}
		// The name of a signature has no blank, that of a file may have a colon.
		colon := strings.LastIndex(found, ": ")
		if colon < 0 {
			return nil, 0, invalid("it has the line %q, which names no file", line)
		}
		out = append(out, infected{found[:colon], found[colon+2:]})
	}
	slices.SortFunc(out, func(a, b infected) int {
		return strings.Compare(a.Path+"\x00"+a.Name, b.Path+"\x00"+b.Name)
	})
	return slices.Compact(out), excluded, nil
}

// clamError reports whether a line says that something was not scanned. Other
// warnings, as of an old database, are none.
func clamError(line string) bool {
	starts := func(prefix string) bool { return strings.HasPrefix(line, prefix) }
	ends := func(suffix string) bool { return strings.HasSuffix(line, suffix) }
	if slices.ContainsFunc([]string{"ERROR: ", "LibClamAV Error: ", "WARNING: Can't "}, starts) || slices.ContainsFunc(clamUnread, ends) {
		return true
	}
	warning := strings.ToLower(line)
	return (starts("WARNING: ") || starts("LibClamAV Warning: ")) &&
		slices.ContainsFunc(clamTrouble, func(what string) bool { return strings.Contains(warning, what) })
}

// clamUnread is how lines about a file or folder end that was not read.
var clamUnread = []string{
	" ERROR", ": Can't access file", ": Can't open file", ": Access denied", ": Can't open directory.", ": Not supported file type",
	": No such file or directory", ": Permission denied", ": Operation not permitted", ": Input/output error", ": Too many open files",
}

// clamTrouble is what a warning has, in lower case, when the system did not let
// clamscan read something. What libclamav says of files that are malformed is none.
var clamTrouble = []string{
	"can't open file", "can't open directory", "can't access", "pread error", "stat() failed",
	"input/output error", "permission denied", "access denied", "operation not permitted", "no such file",
}

// clamCounts is the summary.
type clamCounts struct {
	known, scanned, infected int
	version, start, end      string
}

// clamSummary reads the summary, and refuses one that is truncated, and one of a
// scan that looked at nothing or looked for nothing.
func clamSummary(text string) (clamCounts, error) {
	lines := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if _, twice := lines[name]; twice && name != "" {
			return clamCounts{}, invalid("its summary has %q twice", name)
		}
		lines[name] = strings.TrimSpace(value)
	}
	if lines["Time"] == "" {
		return clamCounts{}, invalid("its summary is truncated, or not clamscan's: it has no Time")
	}
	s := clamCounts{version: lines["Engine version"], start: lines["Start Date"], end: lines["End Date"]}
	for name, into := range map[string]*int{"Known viruses": &s.known, "Scanned files": &s.scanned, "Infected files": &s.infected} {
		n, err := strconv.Atoi(lines[name])
		if err != nil || n < 0 || s.version == "" {
			return clamCounts{}, invalid("its summary has no Engine version, Known viruses, Scanned files and Infected files, as that of clamscan has (clamdscan's has not)")
		}
		*into = n
	}
	if n := lines["Total errors"]; n != "" && n != "0" {
		return clamCounts{}, failed("its summary counts %q errors", n)
	}
	return s, nil
}

// agrees checks the summary against the lines before it.
func (s clamCounts) agrees(findings []infected) error {
	paths := map[string]bool{}
	for _, f := range findings {
		paths[f.Path] = true
	}
	switch {
	case s.known == 0:
		return failed("clamscan knew no signature")
	case s.scanned == 0:
		return failed("clamscan scanned no file")
	case len(paths) < s.infected || s.infected == 0 && len(paths) > 0: // --archive-verbose names more
		return unusable("keep clamscan's whole output", "its summary counts %d infected files, and its lines name %d", s.infected, len(paths))
	}
	return nil
}

func clamTime(text string) time.Time {
	t, err := time.ParseInLocation(clamDate, text, time.UTC)
	if err != nil || t.Year() < 1 {
		return time.Time{}
	}
	return t
}
