//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/relay/relaytest"
	"github.com/rainbond-exporter/rainbond-exporter/tour"
)

// A groupRobot is a chat robot as its vendor documents it, which checks signature, size and rate of each message.
type groupRobot struct {
	*relaytest.Robot
	name, lang, url string
}

// newRobots starts a robot of each vendor in both languages.
func newRobots(t *testing.T) (robots []groupRobot) {
	t.Helper()
	for _, kind := range []string{"dingtalk", "feishu", "wecom"} {
		for _, lang := range []string{"zh", "en"} {
			r := groupRobot{Robot: &relaytest.Robot{Type: kind, Token: "token-" + kind + "-" + lang}, name: kind + "-" + lang, lang: lang}
			if kind != "wecom" { // which has no signatures
				r.Secret = "SEC-" + kind + "-" + lang
			}
			server := httptest.NewServer(r)
			t.Cleanup(server.Close)
			r.url = server.URL + r.Path()
			robots = append(robots, r)
		}
	}
	return robots
}

// secret returns the arguments of kubectl that create the robot's Secret, and values those of Helm that name it.
func (r groupRobot) secret() []string {
	args := []string{"create", "secret", "generic", r.name, "--from-literal=url=" + r.url}
	if r.Secret != "" {
		args = append(args, "--from-literal=key="+r.Secret)
	}
	return args
}

func (r groupRobot) values() []string {
	at := "--set=alerting.receivers." + r.name
	args := []string{at + ".type=" + r.Type, at + ".existingSecret=" + r.name, at + ".lang=" + r.lang}
	if r.Secret != "" {
		args = append(args, at+".secretKey=key")
	}
	return args
}

// marks begin the title of a message about a critical alert, of a resolved one and of a test.
var marks = map[string]struct{ critical, resolved, test string }{
	"zh": {"【紧急】", "【恢复】", "【测试】"},
	"en": {"[PAGE] ", "[OK] ", "[TEST] "},
}

// count returns the number of messages about a cluster that have a mark.
func (r groupRobot) count(mark, cluster string) (n int) {
	for _, m := range r.Messages() {
		if strings.Contains(m, mark) && strings.Contains(m, " "+cluster+"/") {
			n++
		}
	}
	return n
}

// posted is nil if each robot has posted one message about a cluster, in its language, and no resolved one or one.
func posted(robots []groupRobot, cluster string, resolved int) error {
	var missing []error
	for _, r := range robots {
		mark := marks[r.lang]
		if critical, over := r.count(mark.critical, cluster), r.count(mark.resolved, cluster); critical != 1 || over != resolved {
			missing = append(missing, fmt.Errorf("%s: %d messages about %s, %d that it is over; expected 1 and %d", r.name, critical, cluster, over, resolved))
		}
	}
	return errors.Join(missing...)
}

// tested is nil if each robot has posted the test message.
func tested(robots []groupRobot) error {
	for _, r := range robots {
		if !strings.Contains(strings.Join(r.Messages(), "\n"), marks[r.lang].test) {
			return fmt.Errorf("%s has no test message", r.name)
		}
	}
	return nil
}

// pressTest presses the button of the demo that sends a test message.
func pressTest(t *testing.T, address string) {
	t.Helper()
	answer, err := client.PostForm("http://"+address+tour.TestAlertPath+"?lang=en", url.Values{})
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK { // after the redirect
		t.Fatalf("the button: %s", answer.Status)
	}
}

// arrived is nil if the page of the demo reports that the test message has arrived.
func arrived(address string) error {
	page, err := get("http://" + address + "/?lang=en")
	if err == nil && !strings.Contains(string(page), "The message has arrived.") {
		_, panel, _ := strings.Cut(string(page), `<section class="chain"`)
		err = fmt.Errorf("the page has %.2000s", panel)
	}
	return err
}
