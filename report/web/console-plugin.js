// A platform plugin of the Rainbond console (RBDPlugin, plugin_type JSInject).
// The console loads it with SystemJS, provides React, calls plugin.init and
// renders plugin.root. It shows the status page in a frame.
define(["react"], function (React) {
  "use strict";
  function StatusPage(props) {
    var lang = props && props.baseInfo && props.baseInfo.currentLocale === "en" ? "en" : "zh";
    return React.createElement("iframe", {
      src: STATUS_PAGE + "/?lang=" + lang,
      title: lang === "en" ? "Rainbond region status" : "集群端状态",
      sandbox: "allow-same-origin allow-scripts allow-popups allow-forms",
      style: { width: "100%", height: "calc(100vh - 160px)", border: "0" },
    });
  }
  return { plugin: { init: function () {}, root: StatusPage, OtherPages: StatusPage } };
});
