"""The parts from which the values of a specification are composed.

Parts combine freely: any quality fits any place, any condition any action. No word is in the dread lexicon,
so that copying a value from the prompt does not change a story's score. Within a slot every content word
occurs in only one part, so that a withheld word does not appear in another part.
"""


def _parts(text: str) -> tuple[str, ...]:
    """The comma-separated phrases of a text block."""
    return tuple(" ".join(part.split()) for part in text.split(","))


NAMES = _parts("""
    Aaron, Abdul, Abena, Adam, Adele, Aditi, Adriana, Agnes, Ahmed, Aidan, Aiko, Aisha, Akio, Alan, Albert,
    Aldo, Alec, Alessia, Alfred, Alice, Alina, Alma, Alonso, Amara, Amina, Amir, Amos, Anders, Andrei,
    Angus, Anika, Anton, Anya, Arjun, Arlo, Arthur, Asha, Astrid, Ayesha, Azra,
    Babak, Baraka, Barbara, Beatriz, Becca, Bela, Benita, Bente, Bernard, Bertha, Bianca, Bilal, Birgit,
    Bjorn, Blanca, Bogdan, Boris, Brandon, Brenda, Brian, Bruno,
    Caleb, Callum, Camila, Carla, Carlos, Carmen, Cecil, Cedric, Celeste, Chandra, Chen, Chiara, Chidi,
    Chloe, Clara, Cleo, Clive, Colin, Conrad, Cora, Cyrus,
    Dagmar, Dalia, Damian, Daniel, Daphne, Darius, David, Deepa, Delia, Denis, Derek, Devika, Diego, Dilip,
    Dina, Dmitri, Dolores, Donna, Dora, Doris, Dylan,
    Edgar, Edith, Edwin, Efua, Eileen, Einar, Elena, Elias, Elif, Elisa, Ellen, Elmer, Elsa, Emeka, Emil,
    Emma, Enrique, Erik, Ernesto, Esther, Ethan, Eva, Evelyn, Ezra,
    Fabian, Farah, Farid, Fatima, Felix, Femi, Fergus, Fiona, Flora, Florian, Floyd, Franco, Frida, Fumiko,
    Gabriel, Galina, Gemma, George, Gerda, Gideon, Gina, Giorgio, Gita, Gloria, Goran, Gordon, Greta, Guido,
    Gunnar, Gustav, Gwen,
    Hadiya, Hakim, Hamid, Hana, Harald, Harriet, Haruto, Hasan, Hector, Heidi, Helen, Helga, Henrik, Hilda,
    Hiroshi, Homer, Howard, Huda, Hugo,
    Ibrahim, Ida, Idris, Ifeoma, Igor, Ilse, Imani, Imran, Ines, Inga, Ingrid, Ioana, Irene, Irina, Isaac,
    Isabel, Ismail, Ivan, Ivana, Izumi,
    Jacob, Jamal, James, Jamila, Jana, Janek, Jasper, Javier, Jelena, Jerome, Jesse, Jing, Joan, Joanna,
    Joel, Johan, Jonas, Jorge, Josef, Joyce, Juan, Judith, Julia, Julius, Junko,
    Kaito, Kamal, Kamila, Karen, Karim, Karl, Kasper, Katya, Kavita, Kazuo, Keiko, Keith, Kelvin, Kenji,
    Kerstin, Khalid, Kiran, Klara, Klaus, Kofi, Kwame, Kyle,
    Laila, Lars, Laszlo, Laura, Layla, Leah, Leif, Lena, Leon, Leonora, Leticia, Levi, Liam, Lidia, Lila,
    Linda, Ling, Linus, Lionel, Livia, Lorenzo, Lucas, Lucia, Ludwig, Luis, Luna, Lydia,
    Mabel, Magnus, Malik, Malin, Manuel, Marco, Margaret, Mariam, Marina, Mario, Marta, Martin, Mateo,
    Matilda, Maureen, Maxim, Maya, Mehmet, Mei, Melina, Mia, Miguel, Mikael, Milan, Mina, Miriam, Mohan,
    Moira, Monica, Morris, Moses, Musa, Mustafa, Myra,
    Nadia, Naomi, Nasir, Natalia, Nathan, Neema, Neha, Nelson, Nestor, Nia, Nicola, Nigel, Nikhil, Nils,
    Nina, Nisha, Noah, Noor, Nora, Norbert, Norman,
    Obi, Odette, Ola, Olga, Oliver, Olivia, Omar, Ondine, Oona, Orla, Oscar, Osman, Osvaldo, Otis, Otto,
    Owen, Ozan,
    Pablo, Paloma, Pamela, Parisa, Pascal, Patrick, Paula, Pavel, Pedro, Penelope, Percy, Petra, Phoebe,
    Pierre, Pilar, Piotr, Polly, Pooja, Priya,
    Quentin, Quincy,
    Rachel, Rafael, Rajesh, Ralph, Ramon, Rana, Rashid, Ravi, Rebecca, Regina, Rekha, Renata, Rhoda,
    Ricardo, Rita, Robert, Rocio, Roger, Rohan, Roland, Roman, Rosa, Ruben, Rufus, Rupert, Ruth,
    Sabine, Sadie, Saeed, Sakura, Salma, Samira, Samuel, Sandra, Sanjay, Saskia, Selim, Serena, Sergei,
    Shanti, Sharon, Shira, Sigrid, Silas, Silvia, Simon, Simone, Sofia, Sonia, Stanley, Stefan, Stella,
    Suki, Sunita, Susan, Sven, Sylvie,
    Tabitha, Tadeo, Takeshi, Tamara, Tanvi, Tariq, Tatiana, Teresa, Thabo, Thandi, Thelma, Theo, Thomas,
    Tiago, Tilda, Timo, Tobias, Tomoko, Tove, Trevor, Tunde, Tyler,
    Uchenna, Ulf, Ulrika, Uma, Ursula, Usha, Uwe,
    Vadim, Valeria, Vanessa, Varun, Vasco, Vera, Veronica, Victor, Vijay, Vikram, Vilma, Vincent, Virgil,
    Vivian,
    Waleed, Walter, Wanda, Wangari, Wendy, Werner, Wesley, Wilbur, Wilhelm, Winston, Wyatt,
    Xavier, Xenia, Ximena, Xiulan,
    Yael, Yannick, Yara, Yasmin, Yasuo, Yelena, Yolanda, Yosef, Youssef, Yuki, Yumi, Yuri, Yusuf, Yvonne,
    Zadie, Zahra, Zainab, Zara, Zelda, Zenon, Zofia, Zoltan, Zora, Zubair, Zuri""")

# Setting: "in" + article + quality + place.
SETTING_QUALITIES = _parts("""
    quiet, remote, crooked, narrow, nameless, ancient, tidy, dusty, muddy, windy, breezy, sandy, mossy, stony,
    sleepy, secluded, distant, faraway, northern, southern, eastern, western, coastal, riverside, seaside,
    lakeside, roadside, moonlit, sunlit, lamplit, overgrown, unmarked, open, curious, peculiar, ordinary,
    humble, modest, enormous, immense, vast, spacious, bustling, idle, rented, shared, famous, celebrated,
    private, public, royal, rural, provincial, foreign, frosty, unusual, nearby, picturesque, historic,
    unassuming, unremarkable, overlooked, little-known, drowsy, dull, exclusive, sprawling, compact, scenic,
    unique""")
SETTING_PLACES = _parts("""
    lighthouse, ferry station, watermill, orchard, library, boarding house, schoolroom, greenhouse, bakery,
    village, valley, fishing port, museum, railway depot, playhouse, courtyard, vineyard, monastery,
    observatory, quarry, boathouse, farmhouse, bookshop, clock tower, tannery, brewery, canal town,
    market hall, country inn, ballroom, laundry, pottery, post office, hotel, cottage, cabin, chapel, garden,
    meadow, forest, canyon, suburb, apartment block, gymnasium, workshop, barn, stable yard, granary, palace,
    castle, manor, caravan, houseboat, tearoom, cinema, archive, laboratory, clinic, university, kitchen,
    warehouse, foundry, toyshop, barbershop, bungalow, pavilion, conservatory, hamlet, hayloft, cove, aviary,
    zoo""")

# Object: article + quality + thing.
OBJECT_QUALITIES = _parts("""
    red, blue, green, yellow, orange, purple, scarlet, ivory, silver, golden, copper, amber, grey, brown,
    white, pink, turquoise, indigo, striped, spotted, speckled, painted, patterned, plain, ornate, tiny,
    small, large, oversized, heavy, old, antique, new, modern, old-fashioned, second-hand, borrowed,
    unlabelled, unclaimed, unwanted, unique, used, useful, heirloom, expensive, cheap, costly, priceless,
    handmade, homemade, imported, faded, worn, scuffed, damp, oily, sticky, greasy, shiny, glossy, inherited,
    donated, misplaced, mended, repaired, lopsided, numbered, odd, elegant, sturdy, delicate, flimsy, rustic,
    everyday""")
OBJECT_THINGS = _parts("""
    lantern, jar, key, teapot, notebook, compass, umbrella, locket, mirror, candlestick, thimble, violin,
    flute, whistle, kettle, basket, bucket, bottle, satchel, suitcase, wallet, purse, hat, scarf, glove, boot,
    slipper, ribbon, button, coin, medal, necklace, bracelet, brooch, wristwatch, hourglass, telescope,
    camera, photograph, postcard, letter, envelope, map, diary, ledger, pencil, paintbrush, comb, spoon,
    ladle, bowl, plate, saucer, mug, goblet, tray, briefcase, handkerchief, puppet, kite, drum, bell, lamp,
    matchbox, toolbox, lunchbox, trumpet, accordion, harmonica, banjo, typewriter, radio, padlock, trowel,
    vase, figurine, inkwell, apron""")

# Rule: "never" + action + condition, each of at most three words.
RULE_ACTIONS = _parts("""
    open the cellar, wind the clock, count the stairs, answer the telephone, move the armchair,
    whistle indoors, sweep the doorstep, lend the key, feed the hens, ring the bell, cross the bridge,
    light the lamp, touch the curtain, follow the path, pick the roses, use the pump, climb the tower,
    polish the spoons, lift the lid, cover the mirror, mail a letter, play the piano, unlock the attic,
    row the boat, eat the plums, wear the coat, cut the rope, fold the tablecloth, repeat the rhyme,
    knock loudly, copy the map, mend the fence, call the nurse, latch the gate, hang the washing,
    sing the ballad, plant the beans, photograph the statue, carry salt, invite the mayor, shut the window,
    pace the corridor, pour the tea, sign the ledger, drive the wagon, throw a pebble, trim the hedge,
    weave a basket, wash the carpet, buy bread, shake the rug, taste the soup, paint the shutters,
    stack the firewood, milk the goat, saddle the horse, rent the room, peel an apple, spin the globe,
    deal the cards, measure the table, tie a knot, weigh the flour, read the newspaper""")
RULE_CONDITIONS = _parts("""
    after sunset, before breakfast, at high tide, at noon, in heavy rain, during the harvest,
    while others sleep, while guests watch, on market days, in winter, without permission, without a witness,
    before the frost, after ten o'clock, during supper, on even dates, when snow falls, when clouds gather,
    before roosters crow, after closing time, on the solstice, during an eclipse, without asking twice,
    on weekdays, in early spring, in late autumn, on the hour, when visitors arrive, when swallows return,
    when geese pass, at dusk, at daybreak, in a hurry, for a wager, for money, without good reason,
    by moonlight, by candlelight, more than once, in the afternoon, before the thaw, after the concert,
    during a drought""")

# Twist: "that" + subject + predicate; every subject is one person.
TWIST_SUBJECTS = _parts("""
    the caller, the landlord, the postman, the ferryman, the gardener, the baker, the tailor, the librarian,
    the lodger, the cook, the painter, the plumber, the pianist, the schoolteacher, the clockmaker,
    the porter, the nurse, the visitor, the messenger, the shopkeeper, the beekeeper, the locksmith,
    the conductor, the innkeeper, the milkman, the shepherd, the carpenter, the cousin,
    the photographer, the driver, the doctor, the lawyer, the mayor, the caretaker, the chemist,
    the translator, the seamstress, the violinist, the sailor, the blacksmith, the miller, the guest,
    the clerk, the inspector, the captain, the barber, the grocer, the weaver, the tenant, the pilot,
    the cyclist, the housekeeper""")
TWIST_PREDICATES = _parts("""
    stood behind the door all along, had kept the spare key for years, had never left the house,
    had listened from the stairs all evening, had written every one of the letters,
    had copied the whole diary by hand, had moved the signposts a week ago, was a twin nobody had mentioned,
    had used another name until then, had lived upstairs the entire time, had drawn the map from memory,
    had invented the rule that very morning, had arrived a day too early, had set all the clocks back,
    was already seated at the table, came from the next town over, had planned everything since spring,
    had only pretended to snore, had sent the invitation months before, spoke with somebody else's voice,
    had swapped the two suitcases, owned the building and the land, could hear it all through the wall,
    had grown up in that room, carried the same photograph in a pocket, had built the place with old bricks,
    had painted the portrait in oils, had paid for the trip in advance, was the author of the book,
    had rung the bell from outside, had changed the recipe long ago,
    had been sitting in the kitchen throughout, had counted each passenger at the gate,
    had traded hats with a passer-by, had climbed in by the window, had planted all of the trees,
    had ordered a meal for three, had misread the address, had borrowed the boat and returned it,
    had left a trail of buttons, had read the last page first, had understood the language perfectly,
    had followed the footprints backwards, had tied the knots with one finger, had taught the parrot to talk,
    was older than the bridge itself, had won the farm in a wager, was related to everyone present,
    had worn a disguise from the start, had guessed the answer at once""")

# Title: "The" + quality + thing, quality + plural, or "The" + thing + "of" + plural.
TITLE_QUALITIES = _parts("""
    Salt, Paper, Velvet, Linen, Marble, Willow, Cedar, Juniper, Maple, Clover, Thistle, Saffron, Cinnamon,
    Ginger, Barley, Midwinter, Summer, Harvest, Evening, Morning, Sunday, Thursday, Wandering, Floating,
    Turning, Swaying, Spinning, Folded, Woven, Glass, Iron, Clay, Chalk, Silk, Wool, Pewter, Crystal,
    Porcelain, Cardboard, Sapphire, Emerald, Cobalt, Russet, Tawny, Azure, Patient, Stubborn, Tilted, Rolling,
    Drifting, Leaning, Tidal, Lunar, Polar, Bamboo, Canvas, Cotton, Granite, Hazel, Lavender, Lemon, Leather,
    Mustard, Opal, Pearl, Pepper, Quartz, Rustling, Sandstone, Tin, Tartan, Walnut""")
TITLE_THINGS = _parts("""
    Carousel, Staircase, Ferry, Orchestra, Almanac, Alphabet, Carriage, Chimney, Corridor, Doorway, Auction,
    Fiddle, Fountain, Gallery, Horizon, Journey, Kingdom, Ladder, Machine, Melody, Menagerie, Meridian,
    Mountain, Needle, Pantry, Parade, Passage, Pendulum, Pilgrim, Pocket, Portrait, Procession, Puzzle,
    Railway, Recital, Reservoir, Riddle, River, Sailboat, Signal, Spire, Summit, Tapestry, Threshold,
    Tollgate, Tunnel, Turnstile, Voyage, Wardrobe, Waterfall, Weathervane, Wheel, Windmill, Windowsill,
    Calendar, Balcony, Ballad, Bridge, Apprentice, Keeper, Inventor, Collector, Cupboard, Bicycle, Pageant,
    Labyrinth, Lagoon, Museum, Sundial, Trellis, Archway, Cabinet""")
TITLE_PLURALS = _parts("""
    Bells, Feathers, Pebbles, Ribbons, Thimbles, Pencils, Swallows, Herons, Foxes, Moths, Acorns, Apples,
    Pears, Plums, Almonds, Berries, Branches, Leaves, Petals, Roots, Seeds, Tulips, Lilies, Poppies, Violets,
    Reeds, Shells, Waves, Clouds, Comets, Stars, Planets, Sparks, Embers, Crumbs, Loaves, Spices, Strings,
    Threads, Knots, Patches, Stitches, Sails, Anchors, Oars, Nets, Islands, Hills, Footsteps, Voices, Stories,
    Songs, Verses, Pages, Numbers, Names, Hours, Minutes, Cousins, Sisters, Sailors, Farmers, Dancers, Bees,
    Wrens, Geese, Otters, Owls, Hares, Pines, Birches, Gates, Doors, Rooms, Roofs, Chairs""")
