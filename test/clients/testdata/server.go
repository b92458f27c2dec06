// Server is a TLS server with the settings of rbd-api, in a form that old
// versions of Go can build: server CERT KEY CLIENT_CA. It prints its address, and
// writes its log to standard error.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	ca, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	server := &http.Server{TLSConfig: &tls.Config{ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}}
	log.Fatal(server.ServeTLS(listener, os.Args[1], os.Args[2]))
}
