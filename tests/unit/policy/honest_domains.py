"""Domains of honest neighbours, written by hand: towns, schools, trades, shops, offices, names of families, English and French.

They are each other's neighbours as real ones are: short names, plurals, words of one root, the same town in several names.
"""

from typing import Final

TOWNS: Final = """
mairie-lyon.fr mairie-lille.fr mairie-laval.fr mairie-lanester.fr mairie-nantes.fr mairie-nice.fr mairie-nancy.fr mairie-niort.fr
ville-tours.fr ville-troyes.fr ville-toulon.fr ville-toulouse.fr ville-tourcoing.fr ville-tarbes.fr ville-roubaix.fr ville-rouen.fr
ville-rennes.fr ville-reims.fr paris.fr grenoble.fr dijon.fr brest.fr amiens.fr angers.fr annecy.fr antibes.fr avignon.fr bayonne.fr
beauvais.fr besancon.fr beziers.fr bordeaux.fr bourges.fr caen.fr calais.fr cannes.fr chambery.fr chartres.fr cholet.fr colmar.fr
evreux.fr frejus.fr lorient.fr le-mans.fr marseille.fr metz.fr montpellier.fr mulhouse.fr orleans.fr pau.fr perpignan.fr poitiers.fr
quimper.fr saint-malo.fr saint-denis.fr saint-brieuc.fr saint-etienne.fr saint-nazaire.fr valence.fr vannes.fr versailles.fr vichy.fr
rodez.fr agen.fr albi.fr arles.fr arras.fr auch.fr autun.fr blois.fr cahors.fr dax.fr dole.fr epinal.fr foix.fr gap.fr laon.fr
leeds.gov.uk bath.gov.uk york.gov.uk derby.gov.uk exeter.gov.uk oxford.gov.uk dover.gov.uk bristol.gov.uk preston.gov.uk
"""

SCHOOLS: Final = """
lycee-hugo.fr lycee-hoche.fr lycee-pasteur.fr lycee-voltaire.fr lycee-diderot.fr lycee-rabelais.fr college-camus.fr college-zola.fr
college-valmy.fr college-verdun.fr ecole-jules-ferry.fr ecole-jean-moulin.fr ecole-jeanne-darc.fr univ-lille.fr univ-lorraine.fr
univ-lyon1.fr univ-lyon2.fr univ-lyon3.fr univ-paris1.fr univ-paris8.fr univ-nantes.fr univ-rennes1.fr univ-rennes2.fr univ-tours.fr
oxford.ac.uk cambridge.ac.uk durham.ac.uk bath.ac.uk york.ac.uk essex.ac.uk sussex.ac.uk surrey.ac.uk ucl.ac.uk kent.ac.uk
ac-lyon.fr ac-lille.fr ac-nice.fr ac-nantes.fr ac-reims.fr ac-rennes.fr ac-paris.fr ac-caen.fr ac-dijon.fr insa-lyon.fr ens-lyon.fr
"""

COMPANIES: Final = """
orange.fr sfr.fr free.fr bouygues.fr edf.fr engie.fr suez.fr veolia.fr renault.fr peugeot.fr citroen.fr michelin.fr airbus.com
thales.com safran.fr danone.com nestle.com carrefour.fr auchan.fr leclerc.fr casino.fr monoprix.fr picard.fr darty.com fnac.com
boulanger.com decathlon.fr castorama.fr bricorama.fr conforama.fr ikea.fr maif.fr macif.fr matmut.fr maaf.fr gmf.fr axa.fr
allianz.fr generali.fr groupama.fr covea.fr mgen.fr harmonie.fr malakoff.fr bnpparibas.com societegenerale.fr creditmutuel.fr
credit-agricole.fr banquepopulaire.fr caisse-epargne.fr labanquepostale.fr lcl.fr cic.fr hsbc.fr boursorama.fr fortuneo.fr
laposte.fr chronopost.fr colissimo.fr mondialrelay.fr sncf.fr ratp.fr keolis.fr transdev.com airfrance.fr easyjet.com ryanair.com
accor.com louvrehotels.com pierre-vacances.fr belambra.fr lemonde.fr lefigaro.fr liberation.fr lesechos.fr lepoint.fr lexpress.fr
leparisien.fr ouest-france.fr sudouest.fr la-croix.com mediapart.fr letelegramme.fr tf1.fr francetv.fr radiofrance.fr arte.tv m6.fr
barclays.co.uk lloyds.co.uk natwest.co.uk santander.co.uk halifax.co.uk tesco.com asda.com morrisons.com waitrose.com boots.com
guardian.co.uk telegraph.co.uk independent.co.uk mirror.co.uk bbc.co.uk itv.com sky.com virginmedia.com bt.com vodafone.co.uk
microsoft.com google.com amazon.com apple.com facebook.com netflix.com adobe.com oracle.com ibm.com intel.com nvidia.com dell.com
github.com gitlab.com debian.org ubuntu.com fedora.org python.org kernel.org apache.org mozilla.org gnome.org kde.org videolan.org
paypal.com stripe.com visa.com mastercard.com ebay.com etsy.com booking.com airbnb.com uber.com spotify.com deezer.com slack.com
zoom.us dropbox.com docusign.com salesforce.com hubspot.com mailchimp.com sendgrid.com brevo.com mailjet.com zendesk.com shopify.com
"""

TRADES: Final = """
boulangerie-martin.fr boulangerie-marin.fr boucherie-martin.fr garage-dupont.fr garage-durand.fr garage-duval.fr garage-dubois.fr
plomberie-petit.fr plomberie-perrin.fr menuiserie-morel.fr menuiserie-moreau.fr electricite-leroy.fr electricite-leblanc.fr
cabinet-bernard.fr cabinet-bertrand.fr cabinet-besson.fr notaires-paris.fr avocats-lyon.fr avocats-lille.fr huissiers-nord.fr
pharmacie-centrale.fr pharmacie-gare.fr clinique-parc.fr clinique-pasteur.fr chu-lyon.fr chu-lille.fr chu-nantes.fr chu-nice.fr
hotel-france.fr hotel-europe.fr hotel-gare.fr hotel-plage.fr hotel-paris.fr camping-soleil.fr camping-plage.fr gite-moulin.fr
transport-nord.fr transports-sud.fr imprimerie-ouest.fr imprimerie-est.fr librairie-galerne.fr librairie-page.fr cinema-rex.fr
theatre-ville.fr musee-louvre.fr musee-orsay.fr orchestre-lyon.fr chorale-brest.fr club-rugby.fr club-judo.fr club-tennis.fr
tennis-club.fr judo-club.fr rugby-club.fr foot-club.fr amicale-pompiers.fr secours-mer.fr croix-rouge.fr restosducoeur.org emmaus.org
smith-builders.co.uk smithson.co.uk jones-plumbing.co.uk johnson.co.uk taylor-design.co.uk tailor-made.co.uk baker-street.co.uk
barker-law.co.uk walker.co.uk parker.co.uk harper.co.uk hooper.co.uk cooper.co.uk carter.co.uk porter.co.uk foster.co.uk
"""

FAMILIES: Final = """
martin.fr bernard.fr thomas.fr petit.fr robert.fr richard.fr durand.fr dubois.fr moreau.fr laurent.fr simon.fr michel.fr lefebvre.fr
leroy.fr roux.fr david.fr bertrand.fr morel.fr fournier.fr girard.fr bonnet.fr dupont.fr lambert.fr fontaine.fr rousseau.fr
vincent.fr muller.fr lefevre.fr faure.fr andre.fr mercier.fr blanc.fr guerin.fr boyer.fr garnier.fr chevalier.fr francois.fr legrand.fr
gauthier.fr garcia.fr perrin.fr robin.fr clement.fr morin.fr nicolas.fr henry.fr roussel.fr mathieu.fr gautier.fr masson.fr marchand.fr
duval.fr denis.fr dumont.fr marie.fr lemaire.fr noel.fr meyer.fr dufour.fr meunier.fr brun.fr blanchard.fr giraud.fr joly.fr riviere.fr
"""

ALL: Final = tuple(dict.fromkeys(f"{TOWNS}{SCHOOLS}{COMPANIES}{TRADES}{FAMILIES}".split()))
