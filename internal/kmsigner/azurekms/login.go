package azurekms

import (
	"context"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/signgate/signgate/internal/fault"
)

// login is the identity of the run at Entra ID, as a credential for the SDK. It
// is safe for concurrent use.
type login struct {
	cred   azcore.TokenCredential
	means  string // for people: what proves the identity
	tenant string // the configured one, or ""
	mask   func(...string)

	mu      sync.Mutex
	tokens  []string // to keep out of messages; owned by mu
	subject string   // of the federated token, or ""; owned by mu
	caller  string   // what the access token says of the identity; owned by mu
}

// environment looks at the variables that name an application of Entra ID.
type environment struct{ lookup func(string) (string, bool) }

func (e environment) get(name string) string {
	value, _ := e.lookup(name)
	return strings.TrimSpace(value)
}

// newLogin chooses the credential: the Azure CLI when AZURE_TOKEN_CREDENTIALS
// asks for it, else the application AZURE_CLIENT_ID of AZURE_TENANT_ID with the
// first of AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE and the OIDC token
// of the workflow. There is no other source: a managed identity of the runner
// belongs to the machine and not to the workflow.
func newLogin(ref reference, opts Options, carrier policy.Transporter, o azcore.ClientOptions) (*login, error) {
	env := environment{opts.LookupEnv}
	l := &login{tenant: env.get("AZURE_TENANT_ID"), mask: opts.Mask}
	if l.mask == nil {
		l.mask = func(...string) {}
	}
	if opts.Credential != nil {
		l.cred, l.means = opts.Credential, "the credential of the caller"
		return l, nil
	}
	noticeAuthority(env.get("AZURE_AUTHORITY_HOST"), ref, opts.Notice)
	if strings.EqualFold(env.get("AZURE_TOKEN_CREDENTIALS"), "AzureCLICredential") {
		return l.withCLI()
	}
	client, secret := env.get("AZURE_CLIENT_ID"), env.get("AZURE_CLIENT_SECRET")
	prove, means := assertion(env, opts, carrier, ref.place.audience)
	if l.tenant == "" || client == "" || secret == "" && prove == nil {
		return nil, missing(env, secret != "" || prove != nil)
	}
	if secret != "" {
		l.keep(secret)
		return l.withSecret(client, secret, o)
	}
	return l.withAssertion(client, means, prove, o)
}

func (l *login) withCLI() (*login, error) {
	cred, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: l.tenant})
	l.cred, l.means = cred, "the Azure CLI"
	return l, invalidTenant(err)
}

func (l *login) withSecret(client, secret string, o azcore.ClientOptions) (*login, error) {
	cred, err := azidentity.NewClientSecretCredential(l.tenant, client, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: o, DisableInstanceDiscovery: true})
	l.cred, l.means = cred, "AZURE_CLIENT_SECRET of the application "+clean(client)+" in the tenant "+l.tenant
	return l, invalidTenant(err)
}

// withAssertion logs in with a federated token. Instance discovery would ask
// login.microsoft.com whether the authority exists; here it comes from a list.
func (l *login) withAssertion(client, means string, prove prover, o azcore.ClientOptions) (*login, error) {
	get := func(ctx context.Context) (string, error) {
		token, err := prove(ctx)
		if err != nil {
			return "", noted(ctx, err)
		}
		l.keep(token)
		l.mu.Lock()
		l.subject = claims(token).Subject
		l.mu.Unlock()
		return token, nil
	}
	cred, err := azidentity.NewClientAssertionCredential(l.tenant, client, get, &azidentity.ClientAssertionCredentialOptions{
		ClientOptions: o, DisableInstanceDiscovery: true})
	l.cred, l.means = cred, means+" for the application "+clean(client)+" in the tenant "+l.tenant
	return l, invalidTenant(err)
}

// GetToken returns a token for the vault. The tenant is the configured one,
// whatever the challenge of the vault says.
func (l *login) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if guid.MatchString(l.tenant) && guid.MatchString(o.TenantID) && !strings.EqualFold(l.tenant, o.TenantID) {
		return azcore.AccessToken{}, fault.Configf("azure_config_invalid", "set AZURE_TENANT_ID to the tenant of the vault, or check the host of the key",
			"the vault belongs to the tenant %s, but AZURE_TENANT_ID is %s", strings.ToLower(o.TenantID), l.tenant)
	}
	if l.tenant != "" {
		o.TenantID = l.tenant
	}
	ctx, way := withTrail(ctx)
	token, err := l.cred.GetToken(ctx, o)
	if err != nil {
		return azcore.AccessToken{}, l.explain(ctx, way, err)
	}
	l.keep(token.Token)
	l.mu.Lock()
	l.caller = claims(token.Token).caller()
	l.mu.Unlock()
	return token, nil
}

// keep masks a secret and remembers it.
func (l *login) keep(secret string) {
	l.mask(secret)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = append(l.tokens, secret)
}

// hide takes the secrets of this login out of a text.
func (l *login) hide(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tokens {
		if t != "" {
			text = strings.ReplaceAll(text, t, "***")
		}
	}
	return text
}

// who describes the identity, as far as it is known.
func (l *login) who() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.means
	if l.subject != "" {
		text += " (subject " + l.subject + ")"
	}
	if l.caller != "" {
		text += ", " + l.caller
	}
	return text
}

var guid = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
