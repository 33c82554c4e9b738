// Before the first paint: the chosen colours, so that nothing flashes, and the first rows, which
// are under way while the modules still load.
(function () {
  'use strict';
  var chosen = null;
  var token = null;
  try {
    chosen = localStorage.getItem('skyherd.theme');
    token = sessionStorage.getItem('skyherd.token');
  } catch {
    // Storage is refused: the system's colours and no token.
  }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  var route = location.hash.replace(/^#\/?/, '').split('?')[0];
  if ((route === '' || route === 'recommendations') && !/profile=audit/.test(location.hash)) {
    var headers = token ? { authorization: 'Bearer ' + token } : {};
    window.skyherdFirst = fetch('/api/v1/recommendations?state=open&profile=audit&limit=100', { headers: headers });
    window.skyherdFirst.catch(function () {});
  }
})();
