// Command fakevault serves the Vault of package vaulttest until it is killed,
// for tests that need it in a process or a container of its own.
//
// It prints what a client needs as NAME=value lines: URL, KEY (the key URI) and
// the VAULT_* variables that lead a client to it.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("fakevault: ", err)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("fakevault", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	kind := flags.String("type", string(vaulttest.P256), "type of the key to create")
	name := flags.String("key", "release", "name of the key")
	token := flags.String("token", "root-token", "the root token")
	if err := flags.Parse(args); err != nil {
		return err
	}
	server, err := vaulttest.New(vaulttest.Options{Addr: *listen, RootToken: *token})
	if err != nil {
		return err
	}
	defer server.Close()
	if err := describe(stdout, server, vaulttest.KeyAt{Name: *name}, vaulttest.Type(*kind)); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}

func describe(w io.Writer, server *vaulttest.Server, at vaulttest.KeyAt, kind vaulttest.Type) error {
	if err := server.CreateKey(at, kind); err != nil {
		return err
	}
	fmt.Fprintf(w, "URL=%s\nKEY=hashivault://%s\n", server.URL, at.Name)
	env := server.Env()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(w, "%s=%s\n", name, env[name])
	}
	return nil
}
