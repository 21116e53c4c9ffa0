package azurekms

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/signgate/signgate/internal/fault"
)

// missing names what keeps the environment from describing an identity.
func missing(env environment, proof bool) error {
	var lacks []string
	for _, name := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID"} {
		if env.get(name) == "" {
			lacks = append(lacks, name+" is not set")
		}
	}
	next := "set what is missing, or AZURE_TOKEN_CREDENTIALS=AzureCLICredential to use the session of the Azure CLI"
	switch {
	case env.get("GITHUB_ACTIONS") == "true":
		next = "set the IDs in the env of the step and the permission on the job; what azure/login leaves is not seen here"
		if !proof {
			lacks = append(lacks, "`permissions: id-token: write` is missing")
		}
	case !proof:
		lacks = append(lacks, "there is no AZURE_CLIENT_SECRET, no AZURE_FEDERATED_TOKEN_FILE and no OIDC token of a workflow")
	}
	return fault.Configf("azure_credentials_missing", next, "no Azure credentials: %s", strings.Join(lacks, ", "))
}

func invalidTenant(err error) error {
	if err == nil {
		return nil
	}
	return fault.Configf("azure_config_invalid", "set AZURE_TENANT_ID to the directory (tenant) ID, a UUID", "AZURE_TENANT_ID is not a tenant")
}

// noticeAuthority says that the host of the vault and not AZURE_AUTHORITY_HOST
// decides where to log in.
func noticeAuthority(host string, ref reference, notice func(string)) {
	u, err := url.Parse(host)
	if host == "" || notice == nil || err == nil && slices.Contains(ref.place.logins, u.Host) {
		return
	}
	notice("the host of the key is in " + ref.place.cloud + ", so the login is at " + ref.place.logins[0] + "; AZURE_AUTHORITY_HOST does not apply to it")
}

// explain turns a failure to get a token into a fault. It repeats no text of
// the identity library or of Entra ID, which may quote an answer with a token;
// what Entra ID means is in its error number.
func (l *login) explain(ctx context.Context, way *trail, err error) error {
	if f := cutShort(ctx, "the Azure login"); f != nil {
		return f
	}
	if f, ok := errors.AsType[*fault.Error](way.err); ok {
		return f
	}
	if stray, ok := errors.AsType[strayError](way.err); ok {
		return l.failed("check AZURE_REGIONAL_AUTHORITY_NAME, which signgate does not support", "%s", stray.Error())
	}
	if way.err != nil {
		return passing(l.failed("check the network and the proxy", "%s", network(way.err)))
	}
	if f, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok && f.RawResponse != nil {
		return l.refused(f.RawResponse)
	}
	if strings.HasPrefix(l.means, "the Azure CLI") {
		return l.failed("run az login; az account get-access-token should work here", "the Azure CLI gave none")
	}
	return l.failed("check AZURE_TENANT_ID, AZURE_CLIENT_ID and the federated credential", "the answer of Entra ID could not be read")
}

func (l *login) failed(next, format string, args ...any) *fault.Error {
	return fault.Undecidedf("azure_credentials", next, "no Azure token with "+strings.ReplaceAll(l.who(), "%", "%%")+": "+format, args...)
}

// aadsts has what the errors of Entra ID mean that a wrong setup leads to
// (Microsoft Entra authentication and authorization error codes).
var aadsts = map[string]struct{ what, next string }{
	"70021":   {"no federated credential of the application fits", subjectNext},
	"700211":  {"no federated credential of the application has the issuer of the token", "add one with the issuer https://token.actions.githubusercontent.com, or that of your GitHub Enterprise Server"},
	"700212":  {"no federated credential of the application has the audience of the token", "give the federated credential the audience that docs/azure.md names for this cloud"},
	"700213":  {"no federated credential of the application has the subject of the token", subjectNext},
	"700016":  {"the tenant has no such application", "check AZURE_CLIENT_ID and AZURE_TENANT_ID"},
	"90002":   {"there is no such tenant", "check AZURE_TENANT_ID and that the host of the key is in the right cloud"},
	"7000215": {"the client secret is wrong", "check AZURE_CLIENT_SECRET, or better replace it by a federated credential"},
	"7000222": {"the client secret has expired", "replace it by a federated credential"},
	"700024":  {"the federated token is too old or not valid yet", "check the clock of the runner"},
}

const subjectNext = "add a federated credential with exactly this subject, or run the job in the environment that it names"

var aadstsNumber = regexp.MustCompile(`\bAADSTS([0-9]{4,8})\b`)

// refused explains an answer of Entra ID (RFC 6749 section 5.2).
func (l *login) refused(resp *http.Response) error {
	body, _ := runtime.Payload(resp) // an unreadable answer says nothing more
	var said struct {
		Kind  string `json:"error"`
		Text  string `json:"error_description"`
		Trace string `json:"trace_id"`
	}
	_ = json.Unmarshal(body, &said)
	what, next, detail := "Entra ID refused it", "look the number up in the error codes of Microsoft Entra", []string{}
	if m := aadstsNumber.FindStringSubmatch(said.Text); m != nil {
		detail = append(detail, m[0])
		if known, ok := aadsts[m[1]]; ok {
			what, next = known.what, known.next
		}
	}
	if guid.MatchString(said.Trace) {
		detail = append(detail, "trace "+said.Trace)
	}
	if len(detail) == 0 {
		detail = append(detail, "HTTP status "+strconv.Itoa(resp.StatusCode))
	}
	f := l.failed(next, "%s (%s)", what, strings.Join(detail, ", "))
	f.Transient = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
	f.After = retryAfter(resp)
	return f
}
