// The inside of the preview frame: it shows the HTML that the page sends. Its own Content-Security-Policy gives it an
// origin of its own and no network; see page.rs.
addEventListener('message', (event) => {
  if (event.source !== parent || typeof event.data?.html !== 'string') return;
  document.open();
  document.write(event.data.html);
  document.close();
}, { once: true });
parent.postMessage('ready', '*');
