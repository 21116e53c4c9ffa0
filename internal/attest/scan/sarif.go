package scan

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/attest"
)

// sarifLog is what is read of SARIF
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, clause 3.13).
type sarifLog struct {
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
	Inline  []struct{} `json:"inlineExternalProperties"`
}

// sarifRun is a run of a tool (clause 3.14).
type sarifRun struct {
	Tool struct {
		Driver     sarifTool   `json:"driver"`
		Extensions []sarifTool `json:"extensions"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	Properties  jsontext.Value    `json:"properties"`
	External    struct {
		Results []struct{} `json:"results"`
	} `json:"externalPropertyFileReferences"`
}

type sarifTool struct {
	Name            string      `json:"name"`
	Version         string      `json:"version"`
	SemanticVersion string      `json:"semanticVersion"`
	URI             string      `json:"informationUri"`
	Rules           []sarifRule `json:"rules"`
}

type sarifInvocation struct {
	Successful *bool  `json:"executionSuccessful"`
	Start      string `json:"startTimeUtc"`
	End        string `json:"endTimeUtc"`

	Execution     []sarifNotification `json:"toolExecutionNotifications"`
	Configuration []sarifNotification `json:"toolConfigurationNotifications"`
}

// sarifNotification is what a tool says of itself (clause 3.58).
type sarifNotification struct {
	Level   string `json:"level"`
	Message struct {
		Text string `json:"text"`
	} `json:"message"`
}

// sarif reads SARIF. All runs have to be of one tool.
func sarif(text []byte) (*report, error) {
	var log sarifLog
	if err := attest.Parse(text, &log); err != nil {
		return nil, invalid("%w", err)
	}
	switch {
	case log.Version != "2.1.0":
		return nil, invalid("it is SARIF of the version %q, and 2.1.0 is read", log.Version)
	case len(log.Runs) == 0:
		return nil, failed("it has no run")
	case len(log.Inline) > 0:
		return nil, invalid("its results are in inlineExternalProperties, which are not read")
	}
	r := &report{scanner: log.Runs[0].Tool.Driver.scanner()}
	for _, run := range log.Runs {
		if err := run.problem(r.scanner); err != nil {
			return nil, err
		}
		run.names(&r.named)
	}
	r.started, r.finished = log.times()
	log.count(r)
	return r, nil
}

// scanner returns the tool. in-toto requires a URI; of a tool without one it is a
// package URL of its name.
func (t sarifTool) scanner() scanner {
	s := scanner{name: strings.ToLower(t.Name), uri: t.URI, version: cmp.Or(t.SemanticVersion, t.Version)}
	if s.uri == "" {
		s.uri = "pkg:generic/" + url.PathEscape(s.name)
	}
	return s
}

// problem says why a run tells nothing. One that began no scan has no results,
// not even an empty list (clause 3.14.23).
func (run *sarifRun) problem(of scanner) error {
	switch s := run.Tool.Driver.scanner(); {
	case s.name == "":
		return invalid("its tool has no name")
	case s != of:
		return unusable("attest a report for each", "its runs are by several tools, %q %q and %q %q", of.name, of.version, s.name, s.version)
	case len(run.External.Results) > 0:
		return invalid("its results are in other files, which are not read")
	case run.Results == nil:
		return failed("it has no list of results, and SARIF has an empty one when nothing was found")
	}
	for _, i := range run.Invocations {
		if i.Successful == nil {
			return invalid("its invocation has no executionSuccessful")
		}
		if !*i.Successful {
			return failed("executionSuccessful is false")
		}
		for _, n := range slices.Concat(i.Execution, i.Configuration) {
			if n.Level == "error" {
				return failed("its tool reports an error: %q", bounded(n.Message.Text))
			}
		}
	}
	return nil
}

// bounded returns the first line of a text, and not more than fits into a message.
func bounded(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(text); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return text
}

// times returns when the runs began and when the first of them was done, and zero
// for what one of them does not say.
func (log *sarifLog) times() (started, finished time.Time) {
	for n, run := range log.Runs {
		var from, to time.Time
		for i, invocation := range run.Invocations {
			if t := at(invocation.Start); i == 0 || t.Before(from) {
				from = t
			}
			if t := at(invocation.End); t.After(to) {
				to = t
			}
		}
		if n == 0 || from.Before(started) {
			started = from
		}
		if n == 0 || to.Before(finished) {
			finished = to
		}
	}
	return started, finished
}

// names adds what Trivy says that it scanned. Other tools have other properties,
// or members of the same name that are something else.
func (run *sarifRun) names(named *attest.Naming) {
	var p struct {
		ImageName   string   `json:"imageName"`
		RepoTags    []string `json:"repoTags"`
		RepoDigests []string `json:"repoDigests"`
	}
	if len(run.Properties) == 0 || attest.Parse(run.Properties, &p) != nil {
		return
	}
	named.Reference(p.ImageName)
	for _, ref := range append(p.RepoTags, p.RepoDigests...) {
		named.Reference(ref)
	}
}
