import type { Attributes } from '../../domain/customers/attributes';
import type { ConsentStatus } from '../../domain/customers/types';
import { BaseModel } from '../base';

/** Somebody a tenant may reach. */
export class Customer extends BaseModel {
  static override readonly tableName = 'customers';
  static override readonly idColumn = ['tenant_id', 'id'];
  static override readonly jsonAttributes = ['attributes'];

  declare id: string;
  declare tenantId: string;
  declare externalId: string | null;
  declare email: string | null;
  declare phone: string | null;
  declare firstName: string | null;
  declare lastName: string | null;
  declare language: string | null;
  declare timeZone: string | null;
  declare tags: string[];
  declare attributes: Attributes;
  declare emailConsent: ConsentStatus;
  declare emailConsentSource: string | null;
  declare emailConsentAt: Date | null;
  declare smsConsent: ConsentStatus;
  declare smsConsentSource: string | null;
  declare smsConsentAt: Date | null;
  declare whatsappConsent: ConsentStatus;
  declare whatsappConsentSource: string | null;
  declare whatsappConsentAt: Date | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
