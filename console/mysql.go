package console

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// maxConnectionAge is how long a connection is used. After a failover, the
// host name has another address at most this much later.
const maxConnectionAge = time.Minute

// lockWaitTimeout is how long the server waits for a locked table, in seconds.
// Without it, every abandoned query waits in the server until the lock ends.
const lockWaitTimeout = "2"

// mysqlPool returns a connection pool to the console's MySQL or MariaDB. The
// password and the TLS files are read for each connection, so that new ones
// need no restart.
func mysqlPool(c *DatabaseConfig) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.DBName = c.User, c.Database
	config.Net, config.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	if c.Socket != "" {
		config.Net, config.Addr = "unix", c.Socket
	}
	config.Timeout = connectTimeout
	config.Logger = discardLogger{}
	config.Params = map[string]string{"lock_wait_timeout": lockWaitTimeout}
	err := config.Apply(mysql.BeforeConnect(func(_ context.Context, connection *mysql.Config) error {
		password, err := readSecret(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("password_file: %w", err)
		}
		connection.Passwd = string(bytes.TrimRight(password, "\r\n"))
		if c.TLS != nil {
			connection.TLS, err = c.TLS.load(c.Host)
		}
		return err
	}))
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(4)
	pool.SetConnMaxLifetime(maxConnectionAge)
	return pool, nil
}

// load reads the files of a TLS configuration. Without ca_file, the system's
// certificate authorities are trusted.
func (t *TLSConfig) load(host string) (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if config.ServerName == "" {
		config.ServerName = host
	}
	if t.CAFile != "" {
		text, err := readFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls.ca_file: %s contains no certificate; expected PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := readFile(t.CertFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		key, err := readSecret(t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.key_file: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file and tls.key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// The errors with which a server refuses a connection without TLS: access
// denied, as for a wrong password, where the user is made with REQUIRE SSL,
// and ER_SECURE_TRANSPORT_REQUIRED.
const (
	accessDenied            = 1045
	secureTransportRequired = 3159
)

// explainMySQL adds the option tls to an error that a server returns when it
// requires TLS, unless the connection uses TLS.
func explainMySQL(err error, usesTLS bool) error {
	if refused := (*mysql.MySQLError)(nil); !usesTLS && errors.As(err, &refused) {
		switch refused.Number {
		case accessDenied:
			return fmt.Errorf("%w; the user or password is wrong, or the server requires TLS: then add console.tls to the configuration file", err)
		case secureTransportRequired:
			return fmt.Errorf("%w; add console.tls to the configuration file", err)
		}
	}
	return err
}

// discardLogger drops the driver's log messages. Its errors are returned.
type discardLogger struct{}

// Print does nothing.
func (discardLogger) Print(...any) {}
