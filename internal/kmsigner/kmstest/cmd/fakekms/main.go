// Command fakekms serves the AWS KMS of package kmstest until it is killed, for
// tests that need it in a process or a container of its own.
//
// It prints what a client needs as NAME=value lines: URL, KEY_ARN, KEY_ALIAS
// when there is one, and the AWS_* variables that lead an SDK to it.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("fakekms: ", err)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("fakekms", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	spec := flags.String("spec", string(kmstest.P256), "key spec of the key to create")
	alias := flags.String("alias", "", "alias of the key, like alias/release")
	region := flags.String("region", "eu-west-1", "region of the service")
	certificate := flags.String("cert", "", "certificate chain in PEM; the service speaks HTTPS with it")
	certificateKey := flags.String("cert-key", "", "key of the certificate in PEM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	secure, err := tlsConfig(*certificate, *certificateKey)
	if err != nil {
		return err
	}
	server, err := kmstest.New(kmstest.Options{Addr: *listen, Region: *region, TLS: secure})
	if err != nil {
		return err
	}
	defer server.Close()
	if err := describe(stdout, server, kmstest.Spec(*spec), *alias); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}

// tlsConfig returns nil when there is no certificate.
func tlsConfig(cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, err
}

func describe(w io.Writer, server *kmstest.Server, spec kmstest.Spec, alias string) error {
	if alias != "" && !strings.HasPrefix(alias, "alias/") {
		return fmt.Errorf("the alias %q does not start with alias/", alias)
	}
	arn, err := server.CreateKey(spec)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "URL=%s\nKEY_ARN=%s\n", server.URL, arn)
	if alias != "" {
		fmt.Fprintf(w, "KEY_ALIAS=%s\n", server.Alias(alias, arn))
	}
	env := server.Env()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(w, "%s=%s\n", name, env[name])
	}
	return nil
}
