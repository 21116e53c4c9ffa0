package keychain

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/signgate/signgate/internal/fault"
)

// The one call that is needed, GetAuthorizationToken, is made by hand with the
// SDK's signer. The ECR clients would add their every operation to the binary,
// and ecr-login logs the cause of a failure elsewhere and caches tokens below
// HOME.

// ecrHost matches private registries: account, "-fips", region, domain.
var ecrHost = regexp.MustCompile(`^[0-9]{12}\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.(amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws)$`)

const ecrPublicHost = "public.ecr.aws"

// ecrService is where and how a token is asked for.
type ecrService struct {
	endpoint, region, name, operation string
	public                            bool
}

// ecrServiceOf tells an ECR host from others.
func ecrServiceOf(host string) (ecrService, bool) {
	if host == ecrPublicHost {
		return ecrService{"https://api.ecr-public.us-east-1.amazonaws.com/", "us-east-1", "ecr-public",
			"SpencerFrontendService.GetAuthorizationToken", true}, true
	}
	m := ecrHost.FindStringSubmatch(host)
	if m == nil {
		return ecrService{}, false
	}
	fips, region, domain := m[1] != "", m[2], m[3]
	name := "api.ecr"
	if domain == "on.aws" {
		name, domain = "ecr", "api.aws"
	}
	if fips {
		name = "ecr-fips"
	}
	return ecrService{"https://" + name + "." + region + "." + domain + "/", region, "ecr",
		"AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", false}, true
}

// ecrSource uses the AWS credentials of the environment for ECR hosts. For the
// public registry a failure is passed over: its images need no token, and few
// roles may ask for one.
func ecrSource(o Options, w *web, skipped *skips) source {
	return func(ctx context.Context, t target) (credential, bool, error) {
		service, ok := ecrServiceOf(t.host)
		if !ok || !hasAWS(o.Getenv) {
			return credential{}, false, nil
		}
		provider := func(ctx context.Context) (aws.CredentialsProvider, error) {
			return awsProvider(ctx, o, w, service.region)
		}
		c, ok, err := ecrExchange(w, "AWS credentials of the environment", service, provider)(ctx, t)
		if err != nil && service.public && ctx.Err() == nil {
			skipped.add(t.host, err)
			return credential{}, false, nil
		}
		return c, ok, err
	}
}

func hasAWS(getenv func(string) string) bool {
	return getenv("AWS_ACCESS_KEY_ID") != "" && getenv("AWS_SECRET_ACCESS_KEY") != "" ||
		getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && getenv("AWS_ROLE_ARN") != "" ||
		getenv("AWS_PROFILE") != "" ||
		getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" ||
		getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != ""
}

// awsProvider prefers plain keys. The other ways are the SDK's, without the
// instance metadata service.
func awsProvider(ctx context.Context, o Options, w *web, region string) (aws.CredentialsProvider, error) {
	if id, secret := o.Getenv("AWS_ACCESS_KEY_ID"), o.Getenv("AWS_SECRET_ACCESS_KEY"); id != "" && secret != "" {
		return credentials.NewStaticCredentialsProvider(id, secret, o.Getenv("AWS_SESSION_TOKEN")), nil
	}
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(region),
		config.WithHTTPClient(w.client),
		config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	return c.Credentials, err
}

// awsSource gives AWS credentials when they are needed.
type awsSource func(context.Context) (aws.CredentialsProvider, error)

// ecrExchange buys a registry password with AWS credentials.
func ecrExchange(w *web, from string, s ecrService, provider awsSource) source {
	return func(ctx context.Context, t target) (credential, bool, error) {
		keys, err := provider.retrieve(ctx)
		if err != nil {
			return credential{}, false, ecrFault(t.host, false, "getting the AWS credentials for %s failed: %w", t.host, err)
		}
		token, err := w.ecrToken(ctx, s, keys)
		if err != nil {
			return credential{}, false, ecrFault(t.host, transient(err), "no ECR token for %s: %w", t.host, err)
		}
		user, password, ok := strings.Cut(token, ":")
		if !ok || password == "" {
			return credential{}, false, ecrFault(t.host, false, "the ECR token for %s is malformed", t.host)
		}
		return credential{&authn.Basic{Username: user, Password: password}, "ECR with " + from}, true, nil
	}
}

func (p awsSource) retrieve(ctx context.Context) (aws.Credentials, error) {
	provider, err := p(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return provider.Retrieve(ctx)
}

// ecrToken returns "user:password".
func (w *web) ecrToken(ctx context.Context, s ecrService, keys aws.Credentials) (string, error) {
	build := func() (*http.Request, error) { return s.request(ctx, keys) }
	type data struct{ AuthorizationToken string }
	var private struct{ AuthorizationData []data }
	var public struct{ AuthorizationData data }
	var err error
	if s.public {
		err = w.fetch(ctx, build, &public)
	} else if err = w.fetch(ctx, build, &private); len(private.AuthorizationData) > 0 {
		public.AuthorizationData = private.AuthorizationData[0]
	}
	if err != nil {
		return "", err
	}
	token, _ := base64.StdEncoding.DecodeString(public.AuthorizationData.AuthorizationToken)
	return string(token), nil
}

func (s ecrService) request(ctx context.Context, keys aws.Credentials) (*http.Request, error) {
	const body = "{}"
	req, err := http.NewRequest(http.MethodPost, s.endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", s.operation)
	sum := sha256.Sum256([]byte(body))
	return req, v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), s.name, s.region, time.Now())
}

func ecrFault(host string, transient bool, format string, args ...any) error {
	e := fault.Undecidedf("ecr_credentials",
		"check that the AWS role may call GetAuthorizationToken, or give the credentials for "+host+" with registry-auth",
		format, args...)
	e.Transient = transient
	return e
}
