package actions

import "slices"

// Trigger is the event that started a workflow run.
type Trigger struct {
	Event string // as in GITHUB_EVENT_NAME, empty outside Actions
}

// Trigger returns the event that started the run.
func (r *Runner) Trigger() Trigger {
	if !r.Active() {
		return Trigger{}
	}
	return Trigger{Event: r.getenv("GITHUB_EVENT_NAME")}
}

// Untrusted reports whether the event runs with the secrets of the repository
// although a stranger can start it: whatever the job checked out or downloaded
// may be the stranger's.
func (t Trigger) Untrusted() bool {
	return slices.Contains([]string{"pull_request_target", "workflow_run", "issue_comment"}, t.Event)
}

// PullRequest reports whether the workspace holds a proposed change: policy
// and keys in it were not reviewed yet. The review events check out the same
// merge commit as pull_request.
func (t Trigger) PullRequest() bool {
	return slices.Contains([]string{"pull_request", "pull_request_review", "pull_request_review_comment"}, t.Event)
}

// Run is what the runner says about the workflow run, for claims and
// provenance. A field that the runner does not give is absent. The values are
// the environment's: a job can change them, so they inform and do not prove.
type Run struct {
	ServerURL         string `json:"serverUrl,omitempty"`
	Repository        string `json:"repository,omitempty"`
	RepositoryID      string `json:"repositoryId,omitempty"`
	RepositoryOwnerID string `json:"repositoryOwnerId,omitempty"`
	WorkflowRef       string `json:"workflowRef,omitempty"`
	WorkflowSHA       string `json:"workflowSha,omitempty"`
	SHA               string `json:"sha,omitempty"`
	Ref               string `json:"ref,omitempty"`
	EventName         string `json:"eventName,omitempty"`
	RunID             string `json:"runId,omitempty"`
	RunAttempt        string `json:"runAttempt,omitempty"`
	RunnerEnvironment string `json:"runnerEnvironment,omitempty"`
	Actor             string `json:"actor,omitempty"`
}

// Run returns the facts of this workflow run; the zero Run outside Actions.
func (r *Runner) Run() Run {
	if !r.Active() {
		return Run{}
	}
	return Run{
		ServerURL:         r.getenv("GITHUB_SERVER_URL"),
		Repository:        r.getenv("GITHUB_REPOSITORY"),
		RepositoryID:      r.getenv("GITHUB_REPOSITORY_ID"),
		RepositoryOwnerID: r.getenv("GITHUB_REPOSITORY_OWNER_ID"),
		WorkflowRef:       r.getenv("GITHUB_WORKFLOW_REF"),
		WorkflowSHA:       r.getenv("GITHUB_WORKFLOW_SHA"),
		SHA:               r.getenv("GITHUB_SHA"),
		Ref:               r.getenv("GITHUB_REF"),
		EventName:         r.getenv("GITHUB_EVENT_NAME"),
		RunID:             r.getenv("GITHUB_RUN_ID"),
		RunAttempt:        r.getenv("GITHUB_RUN_ATTEMPT"),
		RunnerEnvironment: r.getenv("RUNNER_ENVIRONMENT"),
		Actor:             r.getenv("GITHUB_ACTOR"),
	}
}
