package provenance

import (
	"strings"

	"github.com/signgate/signgate/internal/envelope"
)

// workflow is the file that was run, an external parameter of the build type.
type workflow struct {
	Ref        string `json:"ref,omitempty"`
	Repository string `json:"repository"`
	Path       string `json:"path,omitempty"`
}

// workflowOf returns the parts of OWNER/REPOSITORY/PATH@REF. The repository is
// the one in there: that of a required workflow is not the one that is built.
func workflowOf(server string, run envelope.Run) workflow {
	parts := strings.SplitN(run.WorkflowRef, "/", 3)
	if len(parts) < 3 {
		return workflow{Ref: run.Ref, Repository: server + "/" + run.Repository}
	}
	path, ref := cutRef(parts[2])
	if ref == "" {
		ref = run.Ref
	}
	return workflow{Ref: ref, Repository: server + "/" + parts[0] + "/" + parts[1], Path: path}
}

// cutRef splits PATH@REF, both of which may hold "@". The first "@refs/" ends the
// path: workflows lie directly in .github/workflows, so no part of their path
// after an "@" has a slash. A commit in place of a ref has no "@".
func cutRef(s string) (path, ref string) {
	at := strings.Index(s, "@refs/")
	if at < 0 {
		at = strings.LastIndexByte(s, '@')
	}
	if at < 0 {
		return s, ""
	}
	return s[:at], s[at+1:]
}
