import { render } from 'preact';
import { look } from './api/client';
import { load } from './state/library';
import { App } from './view/app';

render(<App />, document.body);
void load();
void look();
