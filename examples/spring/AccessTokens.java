package com.example.api;

import java.util.Objects;
import java.util.Set;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;

/** Verifies access tokens of Gatehouse (RFC 9068) with the key set that the issuer's metadata name. */
@Configuration
public class AccessTokens {

    @Bean
    JwtDecoder jwtDecoder(
            @Value("${gatehouse.issuer}") String issuer, @Value("${gatehouse.audience}") String audience) {
        NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(issuer)
                .jwsAlgorithms(algorithms -> algorithms.addAll(Set.of(SignatureAlgorithm.ES256, SignatureAlgorithm.RS256)))
                // Else Spring Security 6 takes the type JWT only. The validator below asks for at+jwt.
                .validateType(false)
                .build();
        decoder.setJwtValidator(JwtValidators.createAtJwtValidator()
                .issuer(issuer)
                .audience(audience)
                // Required by RFC 9068. Any client will do.
                .validators(rules -> rules.put("client_id", new JwtClaimValidator<>("client_id", Objects::nonNull)))
                .build());
        return decoder;
    }

    @Bean
    SecurityFilterChain routes(HttpSecurity http) throws Exception {
        return http
                .authorizeHttpRequests(requests -> requests
                        .requestMatchers("/profile").hasAuthority("SCOPE_profile:read")
                        .anyRequest().authenticated())
                .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
                .build();
    }
}
