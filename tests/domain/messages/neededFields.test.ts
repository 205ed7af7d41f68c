import { compileContent } from '../../../domain/messages/compileContent';
import { allFields, neededFields, printedAttributes } from '../../../domain/messages/neededFields';

function needed(html: string, subject = 'Hi') {
  const compiled = compileContent({ subject, html }, { campaignName: 'C', tenantName: 'T' });
  return [...neededFields(compiled)].sort();
}

test.each([
  { html: '<p>Hello {{ customer.firstName | default: "you" }}</p>', fields: [] },
  {
    html: '<p>{{ customer.attributes.city }}, {{ customer.phone }}</p>',
    fields: ['attributes', 'phone'],
  },
  { html: '<p>{{ tenant.name }} {{ "now" | date: "%Y" }}</p>', fields: [] },
  { html: '<p>{{ customer.lastName | upcase }}</p>', fields: [...allFields].sort() },
  { html: '{% if customer.language == "fr" %}Salut{% endif %}', fields: [...allFields].sort() },
  { html: '{% assign x = customer.tags %}{{ x }}', fields: [...allFields].sort() },
])('reads $fields for $html', ({ html, fields }) => {
  expect(needed(html)).toEqual(fields);
});

test('reads what only the subject shows', () => {
  expect(needed('<p>Hello</p>', '{{ customer.externalId }}')).toEqual(['externalId']);
});

test.each([
  { html: '<p>Hello</p>', attributes: [] },
  {
    html: '{{ customer.attributes.city | default: "there" }} {{ customer.attributes.points }}',
    attributes: ['city', 'points'],
  },
  { html: '{{ customer.attributes.city }} {{ customer.attributes.x | upcase }}', attributes: null },
  { html: '{{ customer.attributes.list.size }}', attributes: null },
  { html: '{% if customer.attributes.vip %}!{% endif %}', attributes: null },
  { html: '{{ customer.attributes.__proto__ }}', attributes: null },
  {
    html: Array.from({ length: 13 }, (_, i) => `{{ customer.attributes.a${i} }}`).join(),
    attributes: null,
  },
])('of $html it prints the attributes $attributes alone', ({ html, attributes }) => {
  const compiled = compileContent({ subject: 'Hi', html }, { campaignName: 'C', tenantName: 'T' });
  expect(printedAttributes(compiled)).toEqual(attributes);
});
