// Package provenance makes SLSA provenance of a GitHub Actions workflow run.
//
// The predicate is that of https://slsa.dev/spec/v1.0/provenance. Its build type
// is https://actions.github.io/buildtypes/workflow/v1
// (https://github.com/actions/buildtypes/tree/main/workflow/v1), in the shape of
// GitHub's own actions/attest-build-provenance, so that a policy for one reads the
// other. What GitHub takes from the job's OIDC token is taken from the runner's
// environment here: a job can change that, and the signing key vouches for it.
package provenance

import (
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
)

const buildType = "https://actions.github.io/buildtypes/workflow/v1"

const next = "run it in a job of GitHub Actions, or give a predicate of your own with predicate-type and predicate-path"

// events are those that the build type is specified for.
var events = []string{"create", "release", "push", "workflow_dispatch"}

type predicate struct {
	BuildDefinition definition `json:"buildDefinition"`
	RunDetails      details    `json:"runDetails"`
}

type definition struct {
	BuildType          string `json:"buildType"`
	ExternalParameters struct {
		Workflow workflow `json:"workflow"`
	} `json:"externalParameters"`
	InternalParameters struct {
		GitHub github `json:"github"`
	} `json:"internalParameters,omitzero"`
	ResolvedDependencies []dependency `json:"resolvedDependencies"`
}

type github struct {
	EventName         string `json:"event_name,omitempty"`
	RepositoryID      string `json:"repository_id,omitempty"`
	RepositoryOwnerID string `json:"repository_owner_id,omitempty"`
	RunnerEnvironment string `json:"runner_environment,omitempty"`
}

type dependency struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

type details struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	Metadata struct {
		InvocationID string    `json:"invocationId"`
		FinishedOn   time.Time `json:"finishedOn"`
	} `json:"metadata"`
}

// Predicate returns the provenance of what run has built from bases, finished
// now. What the runner does not give is absent. The errors are configuration
// faults: "provenance_unavailable" without a workflow run, "reference_invalid" and
// "digest_invalid" for a base that cannot be named.
func Predicate(run envelope.Run, bases []Base, now time.Time) (attest.Predicate, error) {
	if err := available(run); err != nil {
		return attest.Predicate{}, err
	}
	server := strings.TrimSuffix(run.Server, "/")
	w := workflowOf(server, run)
	p := predicate{BuildDefinition: definition{BuildType: buildType}}
	d := &p.BuildDefinition
	d.ExternalParameters.Workflow = w
	d.InternalParameters.GitHub = github{run.Event, run.RepositoryID, run.RepositoryOwnerID, run.RunnerEnvironment}
	d.ResolvedDependencies = sources(server, run, w)
	for _, b := range bases {
		base, err := b.dependency()
		if err != nil {
			return attest.Predicate{}, err
		}
		d.ResolvedDependencies = append(d.ResolvedDependencies, base)
	}
	p.RunDetails.Builder.ID = server + "/" + run.WorkflowRef
	p.RunDetails.Metadata.InvocationID = invocation(server, run)
	p.RunDetails.Metadata.FinishedOn = now.UTC().Truncate(time.Second)
	body, err := attest.Of(p)
	if err != nil {
		return attest.Predicate{}, fault.Configf("provenance_unavailable", next, "the environment describes the workflow run in a text that JSON cannot hold: %w", err)
	}
	return attest.Predicate{Type: attest.Provenance, Body: body, Notes: notes(run)}, nil
}

func available(run envelope.Run) error {
	for _, needed := range [][2]string{
		{"GITHUB_SERVER_URL", run.Server}, {"GITHUB_REPOSITORY", run.Repository},
		{"GITHUB_RUN_ID", run.RunID}, {"GITHUB_WORKFLOW_REF", run.WorkflowRef},
	} {
		if needed[1] == "" {
			return fault.Configf("provenance_unavailable", next,
				"provenance is made from a workflow run, and the environment does not describe one: it has no %s", needed[0])
		}
	}
	return nil
}

// sources returns the commit that was built, and that of the workflow when it is
// another one.
func sources(server string, run envelope.Run, w workflow) []dependency {
	out := []dependency{git(server+"/"+run.Repository, run.Ref, run.SHA)}
	if run.WorkflowSHA != "" && run.WorkflowSHA != run.SHA {
		out = append(out, git(w.Repository, w.Ref, run.WorkflowSHA))
	}
	return out
}

// git returns a commit as an SPDX download location
// (https://spdx.github.io/spdx-spec/v2.3/package-information/#77-package-download-location-field).
func git(repository, ref, commit string) dependency {
	d := dependency{URI: "git+" + repository}
	if ref != "" {
		d.URI += "@" + ref
	}
	if commit != "" {
		d.Digest = map[string]string{"gitCommit": commit}
	}
	return d
}

func invocation(server string, run envelope.Run) string {
	id := server + "/" + run.Repository + "/actions/runs/" + run.RunID
	if run.RunAttempt != "" {
		id += "/attempts/" + run.RunAttempt
	}
	return id
}

func notes(run envelope.Run) []string {
	if run.Event == "" || slices.Contains(events, run.Event) {
		return nil
	}
	return []string{"the build type of the provenance is specified for the events " + strings.Join(events, ", ") + ", and this run was started by " + run.Event}
}
