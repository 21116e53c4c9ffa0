package kmstest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
)

// in is the unmodified SDK in a Region, at AWS's own endpoint.
func in(region string, through http.RoundTripper) *kms.Client {
	return kms.New(kms.Options{Region: region, HTTPClient: &http.Client{Transport: through}, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		})})
}

func TestMultiRegion(t *testing.T) {
	first, second := start(t, kmstest.Options{}), start(t, kmstest.Options{Region: "us-east-1"})
	through := kmstest.Transport(first, second)
	arn, err := first.CreateMultiRegionKey(kmstest.P256, second)
	if err != nil {
		t.Fatal(err)
	}
	replica := strings.Replace(arn, "eu-west-1", "us-east-1", 1)
	var keys [2]string
	for i, c := range []struct{ region, arn, kind string }{{"eu-west-1", arn, "PRIMARY"}, {"us-east-1", replica, "REPLICA"}} {
		client := in(c.region, through)
		out, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String(arn[strings.LastIndex(arn, "/")+1:])})
		if err != nil {
			t.Fatal(err)
		}
		m := out.KeyMetadata
		config := m.MultiRegionConfiguration
		if aws.ToString(m.Arn) != c.arn || !aws.ToBool(m.MultiRegion) || string(config.MultiRegionKeyType) != c.kind ||
			aws.ToString(config.PrimaryKey.Arn) != arn || len(config.ReplicaKeys) != 1 || aws.ToString(config.ReplicaKeys[0].Arn) != replica {
			t.Errorf("%s: %+v, %+v", c.region, m, config)
		}
		public, err := client.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &c.arn})
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = string(public.PublicKey)
	}
	if keys[0] != keys[1] {
		t.Error("the Regions have different public keys")
	}
	// State is each Region's own, and so are aliases.
	first.SetState(arn, kmstest.Disabled)
	first.Alias("alias/a", arn)
	_, err = in("eu-west-1", through).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
	wantError(t, err, "DisabledException", "")
	if _, err := in("us-east-1", through).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &replica}); err != nil {
		t.Error(err)
	}
	_, err = in("us-east-1", through).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: aws.String("alias/a")})
	wantError(t, err, "NotFoundException", "us-east-1")
	_, err = in("us-east-1", through).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
	wantError(t, err, "NotFoundException", "Invalid arn eu-west-1")
	if _, err := in("eu-central-1", through).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn}); err == nil {
		t.Error("a Region without a server answered")
	}
}

// whole reads answers to their end before the SDK sees them. Now and then the SDK
// loses the connection under an answer of more than 4 KiB.
type whole struct{ http.RoundTripper }

func (w whole) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, err
}

func TestMLDSA(t *testing.T) {
	server := start(t, kmstest.Options{})
	sdk := in("eu-west-1", whole{kmstest.Transport(server)})
	alg := types.SigningAlgorithmSpecMlDsaShake256
	for spec, size := range map[kmstest.Spec]int{kmstest.MLDSA44: 1334, kmstest.MLDSA65: 1974, kmstest.MLDSA87: 2614} { // 1334 was observed at AWS
		arn := create(t, server, spec)
		public, err := sdk.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
		if err != nil || len(public.PublicKey) != size {
			t.Errorf("%s: an SPKI of %d bytes, %v; want %d", spec, len(public.PublicKey), err, size)
		}
		message, mu := []byte("message"), make([]byte, 64)
		out, err := sdk.Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: message, SigningAlgorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		if mldsa.Verify(server.Public(arn).(*mldsa.PublicKey), message, out.Signature, nil) != nil {
			t.Errorf("%s: the signature over a raw message does not verify", spec)
		}
		verify := &kms.VerifyInput{KeyId: &arn, Message: message, SigningAlgorithm: alg, Signature: out.Signature}
		if checked, err := sdk.Verify(t.Context(), verify); err != nil || !checked.SignatureValid {
			t.Errorf("%s: Verify: %v", spec, err)
		}
		if _, err := sdk.Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: mu, MessageType: types.MessageTypeExternalMu, SigningAlgorithm: alg}); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
		_, err = sdk.Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: mu[:63], MessageType: types.MessageTypeExternalMu, SigningAlgorithm: alg})
		wantError(t, err, "ValidationException", "invalid length")
		_, err = sdk.Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: mu, MessageType: types.MessageTypeDigest, SigningAlgorithm: alg})
		wantError(t, err, "ValidationException", "Message type DIGEST is incompatible with key spec "+string(spec)+".")
	}
}

func TestSymmetric(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.Symmetric)
	_, err := client(server).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
	wantError(t, err, "UnsupportedOperationException", "SYMMETRIC_DEFAULT")
	_, err = client(server).Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: []byte("m"), SigningAlgorithm: "ECDSA_SHA_256"})
	wantError(t, err, "InvalidKeyUsageException", "ENCRYPT_DECRYPT")
}

func TestMoveAlias(t *testing.T) {
	server := start(t, kmstest.Options{})
	before, after := create(t, server, kmstest.P256), create(t, server, kmstest.P256)
	server.Alias("alias/a", before)
	server.Inject("GetPublicKey", kmstest.MoveAlias("alias/a", after))
	for _, want := range []string{before, after} {
		out, err := client(server).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: aws.String("alias/a")})
		if err != nil || aws.ToString(out.KeyId) != want {
			t.Errorf("the alias leads to %v, %v; want %s", out, err, want)
		}
	}
}

// The names here are those of the SDK's model.
func TestModel(t *testing.T) {
	specs, states := types.KeySpec("").Values(), types.KeyState("").Values()
	for _, spec := range []kmstest.Spec{kmstest.P256, kmstest.P384, kmstest.P521, kmstest.RSA2048, kmstest.RSA3072, kmstest.RSA4096,
		kmstest.Ed25519, kmstest.MLDSA44, kmstest.MLDSA65, kmstest.MLDSA87, kmstest.Symmetric} {
		if !slices.Contains(specs, types.KeySpec(spec)) {
			t.Errorf("the model has no key spec %s", spec)
		}
	}
	for _, state := range []kmstest.State{kmstest.Enabled, kmstest.Disabled, kmstest.PendingDeletion, kmstest.PendingReplicaDeletion,
		kmstest.PendingImport, kmstest.Creating, kmstest.StateUnavailable} {
		if !slices.Contains(states, types.KeyState(state)) {
			t.Errorf("the model has no key state %s", state)
		}
	}
	// Every algorithm and message type of the model gets past the parameters.
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.Symmetric)
	for _, alg := range types.SigningAlgorithmSpec("").Values() {
		for _, kind := range types.MessageType("").Values() {
			_, err := client(server).Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: []byte("m"), MessageType: kind, SigningAlgorithm: alg})
			wantError(t, err, "InvalidKeyUsageException", "not valid for Sign")
		}
	}
}
