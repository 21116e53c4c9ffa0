package awskms

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/logging"

	"github.com/signgate/signgate/internal/fault"
)

// maxResponse bounds the body of an answer; the longest of AWS KMS, with an
// ML-DSA-87 signature, has less than 8 KiB.
const maxResponse = 1 << 20

// newClient returns a client for a Region, "" for that of the profile. It makes
// one attempt per call.
func newClient(ctx context.Context, ref reference, region string, opts Options) (*kms.Client, error) {
	imdsState := imds.ClientDisabled
	if disabled, _ := opts.LookupEnv("AWS_EC2_METADATA_DISABLED"); ref.imds || disabled == "false" {
		imdsState = imds.ClientEnabled
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(region),
		config.WithEC2IMDSClientEnableState(imdsState),
		config.WithLogger(logging.Nop{}))
	if err != nil {
		return nil, fault.Configf("aws_config_invalid", "check the AWS_* variables of the step and the profile",
			"the AWS configuration cannot be loaded: %w", err)
	}
	if cfg.Region == "" {
		return nil, fault.Configf("aws_region_missing", "set AWS_REGION, add ?region=eu-west-1 to the key, or give the key as an ARN",
			"the key %s names no AWS Region and none is set", ref.key)
	}
	machine := aws.IsCredentialsProvider(cfg.Credentials, (*ec2rolecreds.Provider)(nil)) || aws.IsCredentialsProvider(cfg.Credentials, (*endpointcreds.Provider)(nil))
	if imdsState == imds.ClientDisabled && machine {
		return nil, noCredentials() // the role of the machine or the container is not the one that was meant
	}
	client := kms.NewFromConfig(cfg, func(o *kms.Options) {
		o.Retryer = aws.NopRetryer{}
		o.Credentials = credentials{cfg.Credentials}
		o.HTTPClient = guarded(cfg.HTTPClient, opts.HTTPClient)
		if ref.host != "" {
			o.BaseEndpoint = aws.String("https://" + ref.host)
		}
	})
	return client, checkPlain(aws.ToString(client.Options().BaseEndpoint))
}

// checkPlain refuses an endpoint that would get the session token over plain
// HTTP, except on this machine.
func checkPlain(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" {
		return nil // the SDK says what is no URL
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fault.Configf("aws_config_invalid", "use https://", "the endpoint override leads to %s over plain HTTP, and credentials travel encrypted only", clean(u.Host))
}

// chooseRegion returns the Region that URI and environment ask for, or "" to
// leave it to the profile.
func chooseRegion(ref reference, opts Options) string {
	name, value := ambient(opts)
	if ref.region == "" {
		return value
	}
	if ref.inARN && value != "" && value != ref.region && opts.Notice != nil {
		opts.Notice(fmt.Sprintf("the key is in the AWS Region %s, as its ARN says; %s=%s does not apply to it", ref.region, name, clean(value)))
	}
	return ref.region
}

// ambient returns the variable that sets a Region, and its value.
func ambient(opts Options) (name, value string) {
	for _, name = range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if value, _ = opts.LookupEnv(name); value != "" {
			break
		}
	}
	return name, value
}

// overriding returns the endpoint that takes the place of AWS's own. The SDK
// has put together what environment and profile say.
func overriding(client *kms.Client) string {
	endpoint := aws.ToString(client.Options().BaseEndpoint)
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return "" // Open fails on what is no URL
	}
	u.User = nil
	return strings.TrimSuffix(u.String(), "/")
}

// credentials marks the failures to get credentials, which otherwise look like
// failures of AWS KMS.
type credentials struct{ aws.CredentialsProvider }

type credentialsError struct{ error }

func (e credentialsError) Unwrap() error { return e.error }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	value, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return value, credentialsError{err}
	}
	return value, nil
}

// guarded returns the chosen HTTP client without redirects, which would carry
// the session token to another host, and with bounded answers.
func guarded(sdk aws.HTTPClient, own *http.Client) *http.Client {
	client := &http.Client{}
	if built, ok := sdk.(*awshttp.BuildableClient); ok {
		client.Transport = built.GetTransport()
	}
	if own != nil {
		*client = *own
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bounded{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// bounded reads the whole answer, up to maxResponse, before it hands it on. When
// the SDK read piece by piece, about one in a thousand answers that are longer
// than the 4 KiB that net/http buffers, which ML-DSA signatures are, ended in
// "use of closed network connection" on a busy machine.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}
